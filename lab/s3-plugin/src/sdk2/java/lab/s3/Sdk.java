package lab.s3;

import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.AwsCredentials;
import software.amazon.awssdk.auth.credentials.AwsCredentialsProvider;
import software.amazon.awssdk.auth.credentials.AwsSessionCredentials;
import software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.awscore.retry.AwsRetryStrategy;
import software.amazon.awssdk.core.checksums.RequestChecksumCalculation;
import software.amazon.awssdk.core.checksums.ResponseChecksumValidation;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.http.urlconnection.UrlConnectionHttpClient;
import software.amazon.awssdk.profiles.ProfileFile;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.S3ClientBuilder;
import software.amazon.awssdk.services.s3.model.NoSuchKeyException;

import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;

/** AWS SDK v2, on which repository-s3 is built since 8.19 and 9.1: its credentials, regions and clients. */
final class Sdk {
    /**
     * What the SDK's Apache client, the real module's, waits for a connection. The JDK's client behind this plugin has the same
     * default; it is set here so that a cut route costs what it costs there: four attempts of two seconds and the pauses between.
     */
    private static final Duration CONNECT_TIMEOUT = Duration.ofSeconds(2);

    /** The real module may not read ~/.aws, so profiles never count. */
    private static final ProfileFile NO_PROFILE = ProfileFile.aggregator().build();

    private final Regions regions = new Regions();

    /** What counts where the keystore holds no keys; made once, so that a reload does not ask its sources again. */
    private final AwsCredentialsProvider aroundTheNode = DefaultCredentialsProvider.builder().profileFile(() -> NO_PROFILE).build();

    Sdk(Path configuration) {}

    S3 client(ClientSettings client) {
        S3ClientBuilder builder = S3Client.builder();
        builder.httpClient(
            UrlConnectionHttpClient.builder()
                .connectionTimeout(CONNECT_TIMEOUT)
                .socketTimeout(Duration.ofMillis(client.readTimeout().millis()))
                .build()
        );
        builder.overrideConfiguration(
            configuration -> configuration.defaultProfileFile(NO_PROFILE)
                .retryStrategy(AwsRetryStrategy.standardRetryStrategy().toBuilder().maxAttempts(client.maxRetries() + 1).build())
        );
        builder.credentialsProvider(client.keys() == null ? aroundTheNode : StaticCredentialsProvider.create(credentials(client.keys())));
        builder.forcePathStyle(client.pathStyleAccess());
        // The default checksums of newer SDKs are trailers, which not every S3-compatible store accepts.
        builder.requestChecksumCalculation(RequestChecksumCalculation.WHEN_REQUIRED);
        builder.responseChecksumValidation(ResponseChecksumValidation.WHEN_REQUIRED);
        Region region = regions.of(client);
        if (region == null) {
            builder.region(Region.US_EAST_1).crossRegionAccessEnabled(true);
        } else {
            builder.region(region);
        }
        if (client.endpoint().isEmpty() == false) {
            builder.endpointOverride(URI.create(withScheme(client)));
        }
        return new Client(builder.build());
    }

    static boolean isOwn(RuntimeException e) {
        return e instanceof SdkException;
    }

    static boolean isMissingObject(RuntimeException e) {
        return e instanceof NoSuchKeyException;
    }

    private static AwsCredentials credentials(Keys keys) {
        return keys.sessionToken() == null
            ? AwsBasicCredentials.create(keys.accessKey(), keys.secretKey())
            : AwsSessionCredentials.create(keys.accessKey(), keys.secretKey(), keys.sessionToken());
    }

    private static String withScheme(ClientSettings client) {
        if (client.hasScheme()) {
            return client.endpoint();
        }
        String endpoint = client.protocol() + "://" + client.endpoint();
        Regions.LOGGER.warn(
            "found S3 client with endpoint [{}] that is missing a scheme, guessing it should be [{}]; "
                + "to suppress this warning, add a scheme prefix to the [s3.client.CLIENT_NAME.endpoint] setting on this node",
            client.endpoint(),
            endpoint
        );
        return endpoint;
    }
}
