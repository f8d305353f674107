package lab.s3;

import com.amazonaws.AmazonClientException;
import com.amazonaws.ClientConfiguration;
import com.amazonaws.Protocol;
import com.amazonaws.auth.AWSCredentials;
import com.amazonaws.auth.AWSCredentialsProvider;
import com.amazonaws.auth.AWSCredentialsProviderChain;
import com.amazonaws.auth.AWSStaticCredentialsProvider;
import com.amazonaws.auth.BasicAWSCredentials;
import com.amazonaws.auth.BasicSessionCredentials;
import com.amazonaws.auth.EC2ContainerCredentialsProviderWrapper;
import com.amazonaws.client.builder.AwsClientBuilder.EndpointConfiguration;
import com.amazonaws.services.s3.AmazonS3ClientBuilder;
import com.amazonaws.services.s3.internal.Constants;
import com.amazonaws.services.s3.model.AmazonS3Exception;
import org.elasticsearch.Version;

import java.nio.file.Path;

/** AWS SDK v1, on which repository-s3 is built up to 8.18 and in 9.0: its credentials, regions and clients. */
final class Sdk {
    /**
     * What counts where the keystore holds no keys, as in S3Service.buildCredentials: a container's endpoint or, without one,
     * the instance metadata service; before either, from 8.0 on, a web identity token. Neither AWS_ACCESS_KEY_ID nor
     * -Daws.accessKeyId nor a profile is ever looked at.
     */
    private final AWSCredentialsProvider aroundTheNode;

    /** @param configuration holds the link to a web identity token, if there is one */
    Sdk(Path configuration) {
        AWSCredentialsProvider webIdentity = Version.CURRENT.major < 8 ? null : WebIdentity.provider(configuration);
        AWSCredentialsProvider containerOrInstance = new EC2ContainerCredentialsProviderWrapper();
        aroundTheNode = webIdentity == null ? containerOrInstance : new AWSCredentialsProviderChain(webIdentity, containerOrInstance);
    }

    S3 client(ClientSettings client) {
        ClientConfiguration configuration = new ClientConfiguration();
        configuration.setProtocol(client.protocol().equals("http") ? Protocol.HTTP : Protocol.HTTPS);
        configuration.setMaxErrorRetry(client.maxRetries());
        configuration.setUseThrottleRetries(true);
        configuration.setSocketTimeout(Math.toIntExact(client.readTimeout().millis()));
        // Without a region SDK v1 asks S3 where the bucket is, and follows it; with one it signs for that region, at the
        // global endpoint all the same. The real module does not let the SDK look for a region around the node.
        String endpoint = client.endpoint().isEmpty() ? Constants.S3_HOSTNAME : client.endpoint();
        return new Client(
            AmazonS3ClientBuilder.standard()
                .withCredentials(client.keys() == null ? aroundTheNode : new AWSStaticCredentialsProvider(credentials(client.keys())))
                .withClientConfiguration(configuration)
                .withEndpointConfiguration(
                    new EndpointConfiguration(
                        client.hasScheme() ? endpoint : client.protocol() + "://" + endpoint,
                        client.region().isEmpty() ? null : client.region()
                    )
                )
                .withPathStyleAccessEnabled(client.pathStyleAccess())
                .build()
        );
    }

    static boolean isOwn(RuntimeException e) {
        return e instanceof AmazonClientException;
    }

    static boolean isMissingObject(RuntimeException e) {
        return e instanceof AmazonS3Exception s3 && s3.getStatusCode() == 404;
    }

    private static AWSCredentials credentials(Keys keys) {
        return keys.sessionToken() == null
            ? new BasicAWSCredentials(keys.accessKey(), keys.secretKey())
            : new BasicSessionCredentials(keys.accessKey(), keys.secretKey(), keys.sessionToken());
    }
}
