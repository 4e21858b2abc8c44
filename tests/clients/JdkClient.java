// java.net.http.HttpClient: one line of standard input per session, one of standard output per upload (plan.py).
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.HexFormat;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

public class JdkClient {
  static String token, file;
  static byte[] content;

  public static void main(String[] arguments) throws Exception {
    var lines = new BufferedReader(new InputStreamReader(System.in));
    token = lines.readLine();
    file = lines.readLine();
    content = HexFormat.of().parseHex(lines.readLine());
    var pool = Executors.newCachedThreadPool();
    for (String line; (line = lines.readLine()) != null; ) {
      String[] session = line.split("\t"); // route, URL, pause in milliseconds, uploads
      pool.submit(() -> run(session));
    }
    pool.shutdown();
    pool.awaitTermination(10, TimeUnit.MINUTES);
    System.exit(0);
  }

  static void run(String[] session) {
    // The default version is HTTP/2: the first request on a plain connection offers an upgrade
    HttpClient client = HttpClient.newHttpClient();
    for (int i = 0; i < Integer.parseInt(session[3]); i++) {
      String failure = "";
      try {
        upload(client, session, i % 2 == 1);
      } catch (Throwable error) {
        failure = error.toString().replaceAll("\\s+", " ");
      }
      synchronized (JdkClient.class) {
        System.out.println(session[0] + "\t" + session[2] + "\t" + failure);
      }
    }
  }

  static void upload(HttpClient client, String[] session, boolean isChunked) throws Exception {
    String api = session[1] + "/api/v1/uploads";
    var created = post(client, api, file, isChunked);
    if (created.statusCode() != 201) throw new Exception("create " + created.statusCode() + created.body());
    var put = HttpRequest.newBuilder(URI.create(text(created.body(), "\"url\":\"([^\"]+)\"")));
    Matcher fields = Pattern.compile("\"([^\"]+)\":\"([^\"]*)\"").matcher(text(created.body(), "\"headers\":\\{([^}]*)\\}"));
    while (fields.find()) {
      if (!fields.group(1).equalsIgnoreCase("content-length")) put.header(fields.group(1), fields.group(2));
    }
    put.version(HttpClient.Version.HTTP_1_1).PUT(BodyPublishers.ofByteArray(content));
    int stored = client.send(put.build(), BodyHandlers.discarding()).statusCode();
    if (stored != 200) throw new Exception("PUT " + stored);
    Thread.sleep(Long.parseLong(session[2]));
    String id = text(created.body(), "\"uploadId\":\"([^\"]+)\"");
    var confirmed = post(client, api + "/" + id + "/confirm", "{}", isChunked);
    if (confirmed.statusCode() != 200) throw new Exception("confirm " + confirmed.statusCode() + confirmed.body());
  }

  static HttpResponse<String> post(HttpClient client, String url, String body, boolean isChunked) throws Exception {
    BodyPublisher publisher = isChunked
        ? BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(body.getBytes()))
        : BodyPublishers.ofString(body);
    var request = HttpRequest.newBuilder(URI.create(url)).header("Authorization", "Bearer " + token);
    return client.send(
        request.header("Content-Type", "application/json").POST(publisher).build(), BodyHandlers.ofString());
  }

  static String text(String document, String pattern) throws Exception {
    Matcher found = Pattern.compile(pattern).matcher(document);
    if (!found.find()) throw new Exception("no " + pattern + " in " + document);
    return found.group(1);
  }
}
