package lab.s3;

import org.elasticsearch.common.settings.Settings;

import java.nio.file.Path;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The node's S3 clients. As in repository-s3 the keystore is read at node start and by reload_secure_settings and at no other
 * time: keys put into the file, or removed from it, change nothing until then. SDK clients are built when first needed.
 */
final class Clients {
    private final Sdk sdk;

    private volatile Map<String, ClientSettings> loaded;
    private volatile Map<ClientSettings, S3> built;

    /** @param configuration the node's configuration directory */
    Clients(Settings node, Path configuration) {
        sdk = Privileged.call(() -> new Sdk(configuration));
        reload(node);
    }

    /** Reads the keystore; throws for half a pair of keys and then changes nothing. Requests under way keep the old client. */
    void reload(Settings node) {
        loaded = ClientSettings.load(node);
        built = new ConcurrentHashMap<>();
    }

    /** The client for a repository with these settings. */
    S3 get(Settings repository) {
        String name = repository.get("client", "default");
        ClientSettings client = loaded.get(name);
        if (client == null) {
            String existing = String.join(",", new TreeSet<>(loaded.keySet()));
            throw new IllegalArgumentException("Unknown s3 client name [" + name + "]. Existing client configs: " + existing);
        }
        return built.computeIfAbsent(client.overriddenBy(repository), settings -> Privileged.call(() -> sdk.client(settings)));
    }
}
