package lab.s3;

import org.elasticsearch.cluster.metadata.RepositoryMetadata;
import org.elasticsearch.cluster.service.ClusterService;
import org.elasticsearch.common.blobstore.BlobStore;
import org.elasticsearch.common.unit.ByteSizeValue;
import org.elasticsearch.common.util.BigArrays;
import org.elasticsearch.indices.recovery.RecoverySettings;
import org.elasticsearch.repositories.blobstore.BlobStoreRepository;
import org.elasticsearch.xcontent.NamedXContentRegistry;

/** An S3 repository of Elasticsearch 8.18 and 8.19; {@code readonly} and {@code compress} are the superclass's. */
final class S3Repository extends BlobStoreRepository {
    private final Bucket bucket;

    S3Repository(
        Clients clients,
        RepositoryMetadata metadata,
        NamedXContentRegistry registry,
        ClusterService cluster,
        BigArrays arrays,
        RecoverySettings recovery
    ) {
        super(metadata, registry, cluster, arrays, recovery, RepositorySettings.basePath(metadata));
        RepositorySettings.check(metadata);
        this.bucket = new Bucket(clients, metadata.settings());
    }

    @Override
    protected BlobStore createBlobStore() {
        return new Store(bucket);
    }

    @Override
    protected ByteSizeValue chunkSize() {
        return RepositorySettings.chunkSize(metadata);
    }
}
