package lab.s3;

import org.elasticsearch.cluster.metadata.RepositoryMetadata;
import org.elasticsearch.common.blobstore.BlobPath;
import org.elasticsearch.common.settings.Setting;
import org.elasticsearch.common.unit.ByteSizeValue;

/** A repository's own settings with repository-s3's defaults; client settings among them are {@link ClientSettings}' business. */
final class RepositorySettings {
    private static final ByteSizeValue LARGEST_CHUNK = ByteSizeValue.ofBytes(5L << 40);

    private static final Setting<ByteSizeValue> CHUNK_SIZE = Setting.byteSizeSetting(
        "chunk_size",
        LARGEST_CHUNK,
        ByteSizeValue.ofBytes(5L << 20),
        LARGEST_CHUNK
    );

    private RepositorySettings() {}

    /** Refuses a repository without a bucket as repository-s3 does. */
    static void check(RepositoryMetadata metadata) {
        if (metadata.settings().get("bucket", "").isEmpty()) {
            throw new IllegalArgumentException("Invalid S3 bucket name, cannot be null or empty");
        }
        chunkSize(metadata);
    }

    static BlobPath basePath(RepositoryMetadata metadata) {
        BlobPath path = BlobPath.EMPTY;
        for (String part : metadata.settings().get("base_path", "").split("/")) {
            if (part.isEmpty() == false) {
                path = path.add(part);
            }
        }
        return path;
    }

    static ByteSizeValue chunkSize(RepositoryMetadata metadata) {
        return CHUNK_SIZE.get(metadata.settings());
    }
}
