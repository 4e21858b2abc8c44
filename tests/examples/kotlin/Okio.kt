// The declarations of Okio 3 that the snippet of docs/clients.md uses.
package okio
import java.io.Closeable
import java.io.File
class Path { companion object { fun File.toOkioPath(normalize: Boolean = false): Path = TODO() } }
interface Source : Closeable
interface Sink : Closeable
interface BufferedSink : Sink { fun write(source: Source, byteCount: Long): BufferedSink }
abstract class FileHandle : Closeable { fun source(fileOffset: Long = 0L): Source = TODO() }
abstract class FileSystem { abstract fun openReadOnly(file: Path): FileHandle
    companion object { val SYSTEM: FileSystem = TODO() } }
