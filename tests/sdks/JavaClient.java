// A generated Java client (openapi-generator: java, library native) uploads, and a receipt is verified with the JDK.

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.math.BigInteger;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.PublicKey;
import java.security.Signature;
import java.security.spec.EdECPoint;
import java.security.spec.EdECPublicKeySpec;
import java.security.spec.NamedParameterSpec;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import org.openapitools.client.ApiClient;
import org.openapitools.client.ApiException;
import org.openapitools.client.api.OperationsApi;
import org.openapitools.client.api.UploadsApi;
import org.openapitools.client.model.*;

public class JavaClient {
  static final HttpClient HTTP = HttpClient.newHttpClient();
  static final ObjectMapper JSON = ApiClient.createDefaultObjectMapper();
  static final String BROKER = System.getenv("BROKER"), TOKEN = System.getenv("TOKEN");

  public static void main(String[] files) throws Exception {
    byte[] song = Files.readAllBytes(Path.of(files[0])), stems = Files.readAllBytes(Path.of(files[1]));
    // begin
    ApiClient client = new ApiClient();
    client.updateBaseUri(BROKER);
    client.setRequestInterceptor(request -> request.header("Authorization", "Bearer " + TOKEN));
    UploadsApi uploads = new UploadsApi(client);
    NewUpload file = new NewUpload().filename("song.mp3").contentType("audio/mpeg").size((long) song.length);
    CreateResult upload = uploads.createUpload(file, null, null);
    put(upload.getUrl(), upload.getHeaders(), song);
    ConfirmResult track = uploads.confirmUpload(upload.getUploadId(), null);
    // end
    System.out.println("put " + track.getKey());

    NewUpload large = new NewUpload().filename("stems.wav").contentType("audio/wav").size((long) stems.length);
    CreateResult parts = uploads.createUpload(large.multipart(true), null, null);
    SignParts range = new SignParts().from(1).to(parts.getPartCount());
    for (SignedPart part : uploads.signParts(parts.getUploadId(), range, null).getParts()) {
      int start = (int) ((part.getPartNumber() - 1) * parts.getPartSize());
      put(part.getUrl(), part.getHeaders(), Arrays.copyOfRange(stems, start, start + part.getSize().intValue()));
    }
    int promoting = 0;
    ConfirmResult whole = uploads.confirmUpload(parts.getUploadId(), null);
    for (; whole.getStatus() == ConfirmResult.StatusEnum.PROMOTING; promoting++) {
      Thread.sleep(1000);
      whole = uploads.confirmUpload(parts.getUploadId(), null);
    }
    System.out.println("parts " + whole.getKey() + " " + (promoting > 0));

    try {
      uploads.createUpload(new NewUpload().filename("a.html").contentType("text/html").size(1L), null, null);
    } catch (ApiException error) {
      Problem problem = JSON.readValue(error.getResponseBody(), Problem.class);
      String pointer = problem.getErrors().get(0).getPointer();
      System.out.println("problem " + error.getCode() + " " + problem.getCode() + " " + pointer);
    }

    CreateResults batch = uploads.createUploads(new NewUploads().files(List.of(file, file)), null, null);
    put(batch.getUploads().get(0).getUrl(), batch.getUploads().get(0).getHeaders(), song);
    List<String> ids = batch.getUploads().stream().map(CreateResult::getUploadId).toList();
    List<ConfirmResult> results = uploads.confirmUploads(new UploadIds().uploadIds(ids), null).getResults();
    String failure = results.get(1).getProblem().getCode();
    System.out.println("batch " + results.get(0).getStatus() + " " + results.get(1).getStatus() + " " + failure);

    CreateResult huge = uploads.createUpload(large.size(5_000_000_000L), null, null);
    System.out.println("huge " + huge.getSize() + " " + huge.getPartCount());
    uploads.abortUpload(huge.getUploadId(), null);

    JwkSet keys = new OperationsApi(client).jwks(null);
    Map<?, ?> claims = verified(track.getReceipt(), keys);
    System.out.println("receipt " + claims.get("sub") + " " + claims.get("key"));
    try {
      verified(track.getReceipt().replaceFirst("\\.", ".x"), keys);
    } catch (SecurityException error) {
      System.out.println("forged refused");
    }
  }

  static void put(URI url, Map<String, String> headers, byte[] bytes) throws IOException, InterruptedException {
    HttpRequest.Builder request = HttpRequest.newBuilder(url).PUT(HttpRequest.BodyPublishers.ofByteArray(bytes));
    headers.forEach(request::header);
    int status = HTTP.send(request.build(), HttpResponse.BodyHandlers.discarding()).statusCode();
    if (status != 200 && status != 412) throw new IOException("PUT: " + status); // 412: the bytes are already there
  }

  // receipt begin
  static Map<?, ?> verified(String receipt, JwkSet keys) throws Exception {
    String[] parts = receipt.split("\\.");
    Map<?, ?> header = JSON.readValue(Base64.getUrlDecoder().decode(parts[0]), Map.class);
    Jwk jwk = keys.getKeys().stream().filter(key -> key.getKid().equals(header.get("kid"))).findFirst().orElseThrow();
    byte[] x = Base64.getUrlDecoder().decode(jwk.getX()); // little-endian; the top bit is the sign (RFC 8032)
    boolean odd = (x[31] & 0x80) != 0;
    byte[] y = new byte[32];
    for (int i = 0; i < 32; i++) y[i] = i == 0 ? (byte) (x[31] & 0x7f) : x[31 - i];
    EdECPoint point = new EdECPoint(odd, new BigInteger(1, y));
    PublicKey key = KeyFactory.getInstance("Ed25519").generatePublic(new EdECPublicKeySpec(NamedParameterSpec.ED25519, point));
    Signature signature = Signature.getInstance("Ed25519");
    signature.initVerify(key);
    signature.update((parts[0] + "." + parts[1]).getBytes(StandardCharsets.US_ASCII));
    boolean valid = signature.verify(Base64.getUrlDecoder().decode(parts[2]));
    if (!valid || !"EdDSA".equals(header.get("alg")) || !"track-ready+jwt".equals(header.get("typ")))
      throw new SecurityException("the receipt is not valid");
    return JSON.readValue(Base64.getUrlDecoder().decode(parts[1]), Map.class); // compare iss and sub
  }
  // receipt end
}
