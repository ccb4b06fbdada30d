import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

/** Posts each body (arguments from the second on) to the address (the first) on one client; prints status and answer. */
public class Call {
  public static void main(String[] arguments) throws Exception {
    HttpClient client = HttpClient.newHttpClient();
    for (int index = 1; index < arguments.length; index++) {
      HttpRequest request = HttpRequest.newBuilder(URI.create(arguments[0]))
          .POST(HttpRequest.BodyPublishers.ofString(arguments[index]))
          .build();
      HttpResponse<String> response = client.send(request, HttpResponse.BodyHandlers.ofString());
      System.out.println(response.statusCode() + " " + response.body());
    }
  }
}
