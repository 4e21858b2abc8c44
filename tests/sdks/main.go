// A generated Go client (openapi-generator: go) uploads, and a receipt is verified with the standard library.
package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	sdk "example.com/sdk"
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func put(url string, headers map[string]string, content []byte) {
	request := must(http.NewRequest("PUT", url, bytes.NewReader(content)))
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	response := must(http.DefaultClient.Do(request))
	defer response.Body.Close()
	if response.StatusCode != 200 && response.StatusCode != 412 { // 412: the bytes are already there
		panic(response.Status)
	}
}

func main() {
	broker, token := os.Getenv("BROKER"), os.Getenv("TOKEN")
	song, stems := must(os.ReadFile(os.Args[1])), must(os.ReadFile(os.Args[2]))
	// begin
	settings := sdk.NewConfiguration()
	settings.Servers = sdk.ServerConfigurations{{URL: broker}}
	uploads := sdk.NewAPIClient(settings).UploadsAPI
	ctx := context.WithValue(context.Background(), sdk.ContextAccessToken, token)
	file := sdk.NewNewUpload("song.mp3", "audio/mpeg", int64(len(song)))
	upload, _, err := uploads.CreateUpload(ctx).NewUpload(*file).Execute()
	put(upload.GetUrl(), upload.GetHeaders(), song)
	track, _, err := uploads.ConfirmUpload(ctx, upload.UploadId).Execute()
	// end
	must(track, err)
	fmt.Println("put", track.GetKey())

	large := sdk.NewNewUpload("stems.wav", "audio/wav", int64(len(stems)))
	large.SetMultipart(true)
	parts, _, err := uploads.CreateUpload(ctx).NewUpload(*large).Execute()
	must(parts, err)
	some := sdk.NewSignParts()
	some.SetFrom(1)
	some.SetTo(parts.GetPartCount())
	signed, _, err := uploads.SignParts(ctx, parts.UploadId).SignParts(*some).Execute()
	for _, part := range must(signed, err).Parts {
		start := int64(part.PartNumber-1) * parts.GetPartSize()
		put(part.Url, part.Headers, stems[start:start+part.Size])
	}
	promoting := 0
	whole, _, err := uploads.ConfirmUpload(ctx, parts.UploadId).Execute()
	for ; must(whole, err).Status == "promoting"; promoting++ {
		time.Sleep(time.Second)
		whole, _, err = uploads.ConfirmUpload(ctx, parts.UploadId).Execute()
	}
	fmt.Println("parts", whole.GetKey(), promoting > 0)

	_, response, err := uploads.CreateUpload(ctx).NewUpload(*sdk.NewNewUpload("a.html", "text/html", 1)).Execute()
	var failure *sdk.GenericOpenAPIError
	if errors.As(err, &failure) {
		problem := failure.Model().(sdk.Problem)
		fmt.Println("problem", response.StatusCode, problem.Code, problem.Errors[0].Pointer)
	}

	batch, _, err := uploads.CreateUploads(ctx).NewUploads(*sdk.NewNewUploads([]sdk.NewUpload{*file, *file})).Execute()
	made := must(batch, err).Uploads
	put(made[0].GetUrl(), made[0].GetHeaders(), song)
	ids := sdk.NewUploadIds([]string{made[0].UploadId, made[1].UploadId})
	results, _, err := uploads.ConfirmUploads(ctx).UploadIds(*ids).Execute()
	first, second := must(results, err).Results[0], results.Results[1]
	fmt.Println("batch", first.Status, second.Status, second.Problem.Code)

	large.SetSize(5_000_000_000)
	huge, _, err := uploads.CreateUpload(ctx).NewUpload(*large).Execute()
	fmt.Println("huge", must(huge, err).Size, huge.GetPartCount())
	must(uploads.AbortUpload(ctx, huge.UploadId).Execute())

	keys, _, err := sdk.NewAPIClient(settings).OperationsAPI.Jwks(ctx).Execute()
	claims := must(verified(track.GetReceipt(), must(keys, err).Keys))
	fmt.Println("receipt", claims["sub"], claims["key"])
	if _, err := verified(strings.Replace(track.GetReceipt(), ".", ".x", 1), keys.Keys); err != nil {
		fmt.Println("forged refused")
	}
}

// receipt begin
func verified(receipt string, keys []sdk.Jwk) (claims map[string]any, err error) {
	part := strings.Split(receipt, ".")
	text := func(part string) []byte { decoded, _ := base64.RawURLEncoding.DecodeString(part); return decoded }
	var header struct{ Kid, Alg, Typ string }
	json.Unmarshal(text(part[0]), &header)
	for _, key := range keys {
		known := key.Kid == header.Kid && header.Alg == "EdDSA" && header.Typ == "track-ready+jwt"
		if known && ed25519.Verify(text(key.X), []byte(part[0]+"."+part[1]), text(part[2])) {
			return claims, json.Unmarshal(text(part[1]), &claims) // compare iss and sub
		}
	}
	return nil, errors.New("the receipt is not valid")
}
// receipt end
