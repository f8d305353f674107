package lab.s3;

import org.elasticsearch.cluster.service.ClusterService;
import org.elasticsearch.common.settings.Setting;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.common.util.BigArrays;
import org.elasticsearch.env.Environment;
import org.elasticsearch.indices.recovery.RecoverySettings;
import org.elasticsearch.plugins.Plugin;
import org.elasticsearch.plugins.ReloadablePlugin;
import org.elasticsearch.plugins.RepositoryPlugin;
import org.elasticsearch.repositories.RepositoriesMetrics;
import org.elasticsearch.repositories.Repository;
import org.elasticsearch.xcontent.NamedXContentRegistry;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** Repository type {@code s3} of Elasticsearch 8.18 and 8.19. The keystore is read here, at node start, and in {@link #reload}. */
public final class S3Plugin extends Plugin implements RepositoryPlugin, ReloadablePlugin {
    private final Clients clients;

    public S3Plugin(Settings node, Path configuration) {
        clients = new Clients(node, configuration);
    }

    @Override
    public List<Setting<?>> getSettings() {
        return ClientSettings.ALL;
    }

    @Override
    public void reload(Settings node) {
        clients.reload(node);
    }

    @Override
    public Map<String, Repository.Factory> getRepositories(
        Environment environment,
        NamedXContentRegistry registry,
        ClusterService cluster,
        BigArrays arrays,
        RecoverySettings recovery,
        RepositoriesMetrics metrics
    ) {
        return Map.of(
            "s3",
            metadata -> new S3Repository(clients, metadata, registry, cluster, arrays, recovery)
        );
    }
}
