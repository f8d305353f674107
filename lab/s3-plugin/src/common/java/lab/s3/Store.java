package lab.s3;

import org.elasticsearch.common.blobstore.BlobContainer;
import org.elasticsearch.common.blobstore.BlobPath;
import org.elasticsearch.common.blobstore.BlobStore;

/** A bucket as Elasticsearch's blob store. */
record Store(Bucket bucket) implements BlobStore {
    @Override
    public BlobContainer blobContainer(BlobPath path) {
        return new Container(path, bucket);
    }

    /** Clients belong to the node and outlive a repository. */
    @Override
    public void close() {}

    @Override
    public String toString() {
        return bucket.toString();
    }
}
