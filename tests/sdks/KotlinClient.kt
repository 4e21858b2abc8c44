// A generated Kotlin client (openapi-generator: kotlin, serializationLibrary gson) uploads.

import java.io.File
import java.net.URI
import okhttp3.OkHttpClient
import okhttp3.Request
import okhttp3.RequestBody.Companion.toRequestBody
import org.openapitools.client.apis.UploadsApi
import org.openapitools.client.infrastructure.ApiClient
import org.openapitools.client.infrastructure.ClientError
import org.openapitools.client.infrastructure.ClientException
import org.openapitools.client.infrastructure.Serializer
import org.openapitools.client.models.*

val broker: String = System.getenv("BROKER")
val token: String = System.getenv("TOKEN")
val http = OkHttpClient()

fun put(url: URI, headers: Map<String, String>, bytes: ByteArray) {
    val request = Request.Builder().url(url.toString()).put(bytes.toRequestBody(null))
    headers.forEach { (name, value) -> request.header(name, value) }
    // 412: the bytes are already there
    http.newCall(request.build()).execute().use { check(it.code == 200 || it.code == 412) { "PUT: ${it.code}" } }
}

fun main(files: Array<String>) {
    val song = File(files[0]).readBytes()
    val stems = File(files[1]).readBytes()
    // begin
    ApiClient.accessToken = token
    val uploads = UploadsApi(broker)
    val file = NewUpload("song.mp3", "audio/mpeg", song.size.toLong())
    val upload = uploads.createUpload(file)
    put(upload.url!!, upload.headers!!, song)
    val track = uploads.confirmUpload(upload.uploadId)
    // end
    println("put ${track.key}")

    val large = NewUpload("stems.wav", "audio/wav", stems.size.toLong(), multipart = true)
    val parts = uploads.createUpload(large)
    for (part in uploads.signParts(parts.uploadId, SignParts(from = 1, to = parts.partCount)).parts) {
        val start = ((part.partNumber - 1) * parts.partSize!!).toInt()
        put(part.url, part.headers, stems.copyOfRange(start, start + part.propertySize.toInt()))
    }
    var promoting = 0
    var whole = uploads.confirmUpload(parts.uploadId)
    while (whole.status == ConfirmResult.Status.promoting) {
        promoting++
        Thread.sleep(1000)
        whole = uploads.confirmUpload(parts.uploadId)
    }
    println("parts ${whole.key} ${promoting > 0}")

    try {
        uploads.createUpload(NewUpload("a.html", "text/html", 1))
    } catch (error: ClientException) {
        val body = (error.response as ClientError<*>).body as String
        val problem = Serializer.gson.fromJson(body, Problem::class.java)
        println("problem ${error.statusCode} ${problem.code} ${problem.errors!![0].pointer}")
    }

    val batch = uploads.createUploads(NewUploads(listOf(file, file))).uploads
    put(batch[0].url!!, batch[0].headers!!, song)
    val results = uploads.confirmUploads(UploadIds(batch.map { it.uploadId })).results
    println("batch ${results[0].status.value} ${results[1].status.value} ${results[1].problem!!.code}")

    val huge = uploads.createUpload(large.copy(propertySize = 5_000_000_000))
    println("huge ${huge.propertySize} ${huge.partCount}")
    uploads.abortUpload(huge.uploadId)
}
