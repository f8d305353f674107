package lab.s3;

import org.elasticsearch.Version;
import org.elasticsearch.common.settings.Settings;
import software.amazon.awssdk.auth.credentials.AwsCredentialsProvider;
import software.amazon.awssdk.auth.credentials.AwsCredentialsProviderChain;
import software.amazon.awssdk.auth.credentials.ContainerCredentialsProvider;
import software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider;
import software.amazon.awssdk.auth.credentials.InstanceProfileCredentialsProvider;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.awscore.retry.AwsRetryStrategy;
import software.amazon.awssdk.core.checksums.RequestChecksumCalculation;
import software.amazon.awssdk.core.checksums.ResponseChecksumValidation;
import software.amazon.awssdk.http.urlconnection.UrlConnectionHttpClient;
import software.amazon.awssdk.profiles.ProfileFile;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.S3ClientBuilder;

import java.net.URI;
import java.time.Duration;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The node's S3 clients. As in repository-s3 the keystore is read at node start and by reload_secure_settings and at no other
 * time: keys put into the file, or removed from it, change nothing until then. SDK clients are built when first needed.
 */
final class Clients {
    /**
     * What the SDK's Apache client, the real module's, waits for a connection. The JDK's client behind this plugin has the same
     * default; it is set here so that a cut route costs what it costs there: four attempts of two seconds and the pauses between.
     */
    private static final Duration CONNECT_TIMEOUT = Duration.ofSeconds(2);

    /** The real module may not read ~/.aws, so profiles never count. */
    private static final ProfileFile NO_PROFILE = ProfileFile.aggregator().build();

    /** 7.x to 8.18 are on SDK v1 and know neither keys of the environment nor a region they could miss. */
    private static final boolean SDK_V1 = Version.CURRENT.major < 8 || (Version.CURRENT.major == 8 && Version.CURRENT.minor < 19);

    private final Regions regions = SDK_V1 ? null : new Regions();
    private final AwsCredentialsProvider aroundTheNode = Privileged.call(Clients::aroundTheNode);

    private volatile Map<String, ClientSettings> loaded;
    private volatile Map<ClientSettings, S3Client> built;

    Clients(Settings node) {
        reload(node);
    }

    /** Reads the keystore; throws for half a pair of keys and then changes nothing. Requests under way keep the old client. */
    void reload(Settings node) {
        loaded = ClientSettings.load(node);
        built = new ConcurrentHashMap<>();
    }

    /** The SDK client for a repository with these settings. */
    S3Client get(Settings repository) {
        String name = repository.get("client", "default");
        ClientSettings client = loaded.get(name);
        if (client == null) {
            String existing = String.join(",", new TreeSet<>(loaded.keySet()));
            throw new IllegalArgumentException("Unknown s3 client name [" + name + "]. Existing client configs: " + existing);
        }
        return built.computeIfAbsent(client.overriddenBy(repository), settings -> Privileged.call(() -> build(settings)));
    }

    private S3Client build(ClientSettings client) {
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
        builder.credentialsProvider(
            client.credentials() == null ? aroundTheNode : StaticCredentialsProvider.create(client.credentials())
        );
        builder.forcePathStyle(client.pathStyleAccess());
        // The default checksums of newer SDKs are trailers, which not every S3-compatible store accepts.
        builder.requestChecksumCalculation(RequestChecksumCalculation.WHEN_REQUIRED);
        builder.responseChecksumValidation(ResponseChecksumValidation.WHEN_REQUIRED);
        Region region = SDK_V1 ? configuredRegion(client) : regions.of(client);
        if (region == null) {
            builder.region(Region.US_EAST_1).crossRegionAccessEnabled(true);
        } else {
            builder.region(region);
        }
        if (client.endpoint().isEmpty() == false) {
            builder.endpointOverride(URI.create(withScheme(client)));
        }
        return builder.build();
    }

    /** What counts where the keystore holds no keys; made once, so that a reload does not ask its sources again. */
    private static AwsCredentialsProvider aroundTheNode() {
        if (SDK_V1) {
            return AwsCredentialsProviderChain.of(
                ContainerCredentialsProvider.create(),
                InstanceProfileCredentialsProvider.builder().profileFile(() -> NO_PROFILE).build()
            );
        }
        return DefaultCredentialsProvider.builder().profileFile(() -> NO_PROFILE).build();
    }

    private static Region configuredRegion(ClientSettings client) {
        if (client.region().isEmpty() == false) {
            return Region.of(client.region());
        }
        return client.endpoint().isEmpty() ? null : Region.US_EAST_1;
    }

    private static String withScheme(ClientSettings client) {
        if (client.endpoint().startsWith("http://") || client.endpoint().startsWith("https://")) {
            return client.endpoint();
        }
        String endpoint = client.protocol() + "://" + client.endpoint();
        if (SDK_V1 == false) {
            Regions.LOGGER.warn(
                "found S3 client with endpoint [{}] that is missing a scheme, guessing it should be [{}]; "
                    + "to suppress this warning, add a scheme prefix to the [s3.client.CLIENT_NAME.endpoint] setting on this node",
                client.endpoint(),
                endpoint
            );
        }
        return endpoint;
    }
}
