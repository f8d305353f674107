package lab.s3;

import org.elasticsearch.common.settings.SecureSetting;
import org.elasticsearch.common.settings.SecureString;
import org.elasticsearch.common.settings.Setting;
import org.elasticsearch.common.settings.Setting.AffixSetting;
import org.elasticsearch.common.settings.Setting.Property;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.core.TimeValue;

import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Function;

/**
 * One S3 client's settings, {@code s3.client.NAME.*}, as repository-s3 names, defaults and overrides them.
 * Only what this plugin honours is registered: any other {@code s3.client.*} setting stops the node, as an unknown one does.
 *
 * @param keys of the keystore, null where it holds none for this client
 * @param endpoint empty for AWS's own; region: empty for "find it"
 */
record ClientSettings(
    Keys keys,
    String endpoint,
    String protocol,
    String region,
    boolean pathStyleAccess,
    TimeValue readTimeout,
    int maxRetries
) {
    private static final String PREFIX = "s3.client.";

    private static final AffixSetting<SecureString> ACCESS_KEY = secure("access_key");
    private static final AffixSetting<SecureString> SECRET_KEY = secure("secret_key");
    private static final AffixSetting<SecureString> SESSION_TOKEN = secure("session_token");

    private static final AffixSetting<String> ENDPOINT = plain("endpoint", "", value -> value.toLowerCase(Locale.ROOT));
    private static final AffixSetting<String> PROTOCOL = plain("protocol", "https", ClientSettings::parseProtocol);
    private static final AffixSetting<String> REGION = plain("region", "", Function.identity());
    private static final AffixSetting<Boolean> PATH_STYLE_ACCESS = Setting.affixKeySetting(
        PREFIX,
        "path_style_access",
        key -> Setting.boolSetting(key, false, Property.NodeScope)
    );
    private static final AffixSetting<TimeValue> READ_TIMEOUT = Setting.affixKeySetting(
        PREFIX,
        "read_timeout",
        key -> Setting.timeSetting(key, TimeValue.timeValueSeconds(50), Property.NodeScope)
    );
    private static final AffixSetting<Integer> MAX_RETRIES = Setting.affixKeySetting(
        PREFIX,
        "max_retries",
        key -> Setting.intSetting(key, 3, 0, Property.NodeScope)
    );

    /** What the plugin registers with the node. */
    static final List<Setting<?>> ALL = List.of(
        ACCESS_KEY,
        SECRET_KEY,
        SESSION_TOKEN,
        ENDPOINT,
        PROTOCOL,
        REGION,
        PATH_STYLE_ACCESS,
        READ_TIMEOUT,
        MAX_RETRIES
    );

    /** The non-secure settings, which a repository's own settings of the same name override. */
    private static final List<String> OVERRIDABLE = List.of(
        "endpoint",
        "protocol",
        "region",
        "path_style_access",
        "read_timeout",
        "max_retries"
    );

    /** Every client the node's settings and keystore name, and always {@code default}. */
    static Map<String, ClientSettings> load(Settings node) {
        Set<String> names = new TreeSet<>(node.getGroups(PREFIX).keySet());
        names.add("default");
        Map<String, ClientSettings> clients = new HashMap<>();
        for (String name : names) {
            clients.put(name, of(name, node, keys(name, node)));
        }
        return Map.copyOf(clients);
    }

    /** These settings under those of a repository, which win; the keys stay the keystore's. */
    ClientSettings overriddenBy(Settings repository) {
        Settings.Builder merged = Settings.builder()
            .put(key("endpoint"), endpoint)
            .put(key("protocol"), protocol)
            .put(key("region"), region)
            .put(key("path_style_access"), pathStyleAccess)
            .put(key("read_timeout"), readTimeout.getStringRep())
            .put(key("max_retries"), maxRetries);
        for (String name : OVERRIDABLE) {
            if (repository.hasValue(name)) {
                merged.put(key(name), repository.get(name));
            }
        }
        return of("any", merged.build(), keys);
    }

    boolean hasScheme() {
        return endpoint.startsWith("http://") || endpoint.startsWith("https://");
    }

    private static String key(String setting) {
        return PREFIX + "any." + setting;
    }

    private static ClientSettings of(String name, Settings settings, Keys keys) {
        return new ClientSettings(
            keys,
            ENDPOINT.getConcreteSettingForNamespace(name).get(settings),
            PROTOCOL.getConcreteSettingForNamespace(name).get(settings),
            REGION.getConcreteSettingForNamespace(name).get(settings),
            PATH_STYLE_ACCESS.getConcreteSettingForNamespace(name).get(settings),
            READ_TIMEOUT.getConcreteSettingForNamespace(name).get(settings),
            MAX_RETRIES.getConcreteSettingForNamespace(name).get(settings)
        );
    }

    /** Half a pair is refused in repository-s3's words: at start the node does not start, at reload the old client stays. */
    private static Keys keys(String name, Settings node) {
        try (
            SecureString accessKey = ACCESS_KEY.getConcreteSettingForNamespace(name).get(node);
            SecureString secretKey = SECRET_KEY.getConcreteSettingForNamespace(name).get(node);
            SecureString sessionToken = SESSION_TOKEN.getConcreteSettingForNamespace(name).get(node)
        ) {
            boolean hasAccessKey = accessKey.length() > 0;
            boolean hasSecretKey = secretKey.length() > 0;
            boolean hasSessionToken = sessionToken.length() > 0;
            if (hasAccessKey == false && hasSecretKey == false && hasSessionToken == false) {
                return null;
            }
            if (hasAccessKey == false && hasSecretKey == false) {
                throw new IllegalArgumentException("Missing access key and secret key for s3 client [" + name + "]");
            }
            if (hasAccessKey == false) {
                throw new IllegalArgumentException("Missing access key for s3 client [" + name + "]");
            }
            if (hasSecretKey == false) {
                throw new IllegalArgumentException("Missing secret key for s3 client [" + name + "]");
            }
            return new Keys(accessKey.toString(), secretKey.toString(), hasSessionToken ? sessionToken.toString() : null);
        }
    }

    private static AffixSetting<SecureString> secure(String name) {
        return Setting.affixKeySetting(PREFIX, name, key -> SecureSetting.secureString(key, null));
    }

    private static AffixSetting<String> plain(String name, String byDefault, Function<String, String> parser) {
        return Setting.affixKeySetting(PREFIX, name, key -> new Setting<>(key, byDefault, parser, Property.NodeScope));
    }

    private static String parseProtocol(String value) {
        String protocol = value.toLowerCase(Locale.ROOT);
        if (protocol.equals("http") || protocol.equals("https")) {
            return protocol;
        }
        throw new IllegalArgumentException("unknown protocol [" + value + "]: http or https");
    }
}
