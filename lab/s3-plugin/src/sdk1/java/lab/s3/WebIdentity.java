package lab.s3;

import com.amazonaws.auth.AWSCredentialsProvider;
import com.amazonaws.auth.AWSStaticCredentialsProvider;
import com.amazonaws.auth.AnonymousAWSCredentials;
import com.amazonaws.auth.STSAssumeRoleWithWebIdentitySessionCredentialsProvider;
import com.amazonaws.client.builder.AwsClientBuilder.EndpointConfiguration;
import com.amazonaws.services.securitytoken.AWSSecurityTokenService;
import com.amazonaws.services.securitytoken.AWSSecurityTokenServiceClientBuilder;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

import java.nio.file.Files;
import java.nio.file.Path;

/**
 * A role for the bearer of a token, as repository-s3 of 8.x takes it: AWS_WEB_IDENTITY_TOKEN_FILE only says that there is one,
 * it is read through a link in Elasticsearch's own configuration directory.
 */
final class WebIdentity {
    private static final Logger LOGGER = LogManager.getLogger("org.elasticsearch.repositories.s3.S3Service");

    private WebIdentity() {}

    /** Null where this node has none. */
    static AWSCredentialsProvider provider(Path configuration) {
        if (System.getenv("AWS_WEB_IDENTITY_TOKEN_FILE") == null) {
            return null;
        }
        Path link = configuration.resolve("repository-s3/aws-web-identity-token-file");
        if (Files.exists(link) == false) {
            LOGGER.warn("Cannot use AWS Web Identity Tokens: AWS_WEB_IDENTITY_TOKEN_FILE is defined, and [{}] does not exist", link);
            return null;
        }
        String role = System.getenv("AWS_ROLE_ARN");
        if (role == null) {
            LOGGER.warn("Unable to use a web identity token for authentication: AWS_ROLE_ARN is missing");
            return null;
        }
        String session = System.getenv("AWS_ROLE_SESSION_NAME");
        AWSSecurityTokenService sts = AWSSecurityTokenServiceClientBuilder.standard()
            .withEndpointConfiguration(new EndpointConfiguration("https://sts.amazonaws.com", null))
            .withCredentials(new AWSStaticCredentialsProvider(new AnonymousAWSCredentials()))
            .build();
        return new STSAssumeRoleWithWebIdentitySessionCredentialsProvider.Builder(
            role,
            session == null ? "aws-sdk-java-" + System.currentTimeMillis() : session,
            link.toString()
        ).withStsClient(sts).build();
    }
}
