import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.regex.Pattern;

/** Java's own HTTP client, as it is when nothing is set: each first request offers HTTP/2. */
public class Query {
    static final HttpClient CLIENT = HttpClient.newHttpClient();

    static String post(String address, String form) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(address))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .POST(HttpRequest.BodyPublishers.ofString(form))
            .build();
        HttpResponse<String> answer = CLIENT.send(request, HttpResponse.BodyHandlers.ofString());
        if (answer.statusCode() != 200) {
            throw new IllegalStateException(answer.body());
        }
        return answer.body();
    }

    static String part(String answer, String name) {
        var found = Pattern.compile("<" + name + ">(.*?)</" + name + ">").matcher(answer);
        return found.find() ? found.group(1) : null;
    }

    public static void main(String[] arguments) throws Exception {
        String queue = part(post(arguments[0], "Action=CreateQueue&QueueName=java"), "QueueUrl");
        for (int number = 0; number < 3; number++) {
            post(queue, "Action=SendMessage&MessageBody=job+" + number);
        }
        String answer;
        while ((answer = post(queue, "Action=ReceiveMessage")).contains("<Body>")) {
            System.out.println(part(answer, "Body"));
            String handle = URLEncoder.encode(part(answer, "ReceiptHandle"), StandardCharsets.UTF_8);
            post(queue, "Action=DeleteMessage&ReceiptHandle=" + handle);
        }
    }
}
