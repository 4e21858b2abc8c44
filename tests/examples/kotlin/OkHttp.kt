// The declarations of OkHttp 4 that the snippet of docs/clients.md uses, so that it can be compiled without the library.
package okhttp3
import java.io.Closeable
import java.io.File
class MediaType { companion object { @JvmStatic fun String.toMediaType(): MediaType = TODO() } }
class Headers { companion object { @JvmStatic fun Map<String, String>.toHeaders(): Headers = TODO() } }
abstract class RequestBody {
    abstract fun contentType(): MediaType?
    open fun contentLength(): Long = -1
    abstract fun writeTo(sink: okio.BufferedSink)
    companion object {
        @JvmStatic fun String.toRequestBody(contentType: MediaType? = null): RequestBody = TODO()
        @JvmStatic fun ByteArray.toRequestBody(contentType: MediaType? = null, offset: Int = 0, byteCount: Int = size): RequestBody = TODO()
        @JvmStatic fun File.asRequestBody(contentType: MediaType? = null): RequestBody = TODO()
    }
}
class Request { class Builder {
    fun url(url: String): Builder = TODO()
    fun header(name: String, value: String): Builder = TODO()
    fun headers(headers: Headers): Builder = TODO()
    fun post(body: RequestBody): Builder = TODO()
    fun put(body: RequestBody): Builder = TODO()
    fun build(): Request = TODO()
} }
class ResponseBody : Closeable { fun string(): String = TODO()
    override fun close() {} }
class Response : Closeable {
    val body: ResponseBody? get() = TODO()
    val code: Int get() = TODO()
    val isSuccessful: Boolean get() = TODO()
    fun header(name: String, defaultValue: String? = null): String? = TODO()
    override fun close() {}
}
interface Call { fun execute(): Response }
class OkHttpClient { fun newCall(request: Request): Call = TODO() }
