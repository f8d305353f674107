package lab.s3;

import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.regions.providers.AwsRegionProvider;
import software.amazon.awssdk.regions.providers.AwsRegionProviderChain;
import software.amazon.awssdk.regions.providers.InstanceProfileRegionProvider;
import software.amazon.awssdk.regions.providers.SystemSettingsRegionProvider;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The region a client signs for, in repository-s3's order of 8.19 and 9.1: the setting, else the endpoint's host name, else
 * what the SDK finds around the node ({@code -Daws.region}, {@code AWS_REGION}, the instance metadata service), else us-east-1.
 */
final class Regions {
    /** The real module's logger, so that its WARN lines are found where operators look for them. */
    static final Logger LOGGER = LogManager.getLogger("org.elasticsearch.repositories.s3.S3Service");

    private static final Pattern REGIONAL_ENDPOINT = Pattern.compile(
        "(?:https?://)?s3[.-](?:dualstack\\.)?([a-z]{2}(?:-[a-z]+)+-\\d+)\\.amazonaws\\.com(?:\\.cn)?(?::443)?/?"
    );
    private static final String ADVICE = "to suppress this warning, configure the [s3.client.CLIENT_NAME.region] setting on this node";

    private final Region aroundTheNode;
    private volatile SdkException failure;

    /** Asks the SDK's chain, once: the real module does so at node start and never again. */
    Regions() {
        AwsRegionProvider chain = new AwsRegionProviderChain(new SystemSettingsRegionProvider(), new InstanceProfileRegionProvider());
        Region found = null;
        try {
            found = Privileged.call(chain::getRegion);
        } catch (SdkException e) {
            failure = e;
        }
        aroundTheNode = found;
    }

    /** Null where nothing gives a region and no endpoint is set: us-east-1, following the bucket to wherever it is. */
    Region of(ClientSettings client) {
        if (client.region().isEmpty() == false) {
            return Region.of(client.region());
        }
        boolean hasEndpoint = client.endpoint().isEmpty() == false;
        Matcher regional = REGIONAL_ENDPOINT.matcher(client.endpoint());
        if (regional.matches()) {
            LOGGER.warn(
                "found S3 client with endpoint [{}] but no configured region, guessing it should use [{}]; " + ADVICE,
                client.endpoint(),
                regional.group(1)
            );
            return Region.of(regional.group(1));
        }
        if (aroundTheNode != null) {
            return aroundTheNode;
        }
        if (failure != null) {
            LOGGER.warn("failed to obtain region from default provider chain", failure);
            failure = null;
        }
        LOGGER.warn(
            "found S3 client with no configured region and {}, falling back to [us-east-1]{}; " + ADVICE,
            hasEndpoint ? "configured endpoint [" + client.endpoint() + "]" : "no configured endpoint",
            hasEndpoint ? "" : " and enabling cross-region access"
        );
        return hasEndpoint ? Region.US_EAST_1 : null;
    }
}
