package lab.s3;

import org.elasticsearch.action.ActionListener;
import org.elasticsearch.common.blobstore.BlobContainer;
import org.elasticsearch.common.blobstore.BlobPath;
import org.elasticsearch.common.blobstore.DeleteResult;
import org.elasticsearch.common.blobstore.OperationPurpose;
import org.elasticsearch.common.blobstore.OptionalBytesReference;
import org.elasticsearch.common.blobstore.support.AbstractBlobContainer;
import org.elasticsearch.common.blobstore.support.BlobMetadata;
import org.elasticsearch.common.bytes.BytesReference;
import org.elasticsearch.core.CheckedConsumer;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;

/**
 * A "directory" of a bucket. {@code failIfAlreadyExists} is ignored: S3 overwrites, and blob names of snapshots are unique.
 * A method that only one release line has stands here without {@code @Override}.
 */
final class Container extends AbstractBlobContainer {
    private final Bucket bucket;
    private final String prefix;

    Container(BlobPath path, Bucket bucket) {
        super(path);
        this.bucket = bucket;
        this.prefix = path.buildAsString();
    }

    @Override
    public boolean blobExists(OperationPurpose purpose, String blob) throws IOException {
        return bucket.exists(prefix + blob);
    }

    @Override
    public InputStream readBlob(OperationPurpose purpose, String blob) throws IOException {
        return bucket.read(prefix + blob);
    }

    @Override
    public InputStream readBlob(OperationPurpose purpose, String blob, long position, long length) throws IOException {
        if (length == 0) {
            return InputStream.nullInputStream();
        }
        return bucket.read(prefix + blob, position, length);
    }

    @Override
    public void writeBlob(OperationPurpose purpose, String blob, InputStream content, long size, boolean failIfAlreadyExists)
        throws IOException {
        bucket.write(prefix + blob, content.readNBytes(Math.toIntExact(size)));
    }

    @Override
    public void writeBlobAtomic(OperationPurpose purpose, String blob, BytesReference content, boolean failIfAlreadyExists)
        throws IOException {
        bucket.write(prefix + blob, BytesReference.toBytes(content));
    }

    public void writeBlobAtomic(OperationPurpose purpose, String blob, InputStream content, long size, boolean failIfAlreadyExists)
        throws IOException {
        writeBlob(purpose, blob, content, size, failIfAlreadyExists);
    }

    @Override
    public void writeMetadataBlob(
        OperationPurpose purpose,
        String blob,
        boolean failIfAlreadyExists,
        boolean atomic,
        CheckedConsumer<OutputStream, IOException> writer
    ) throws IOException {
        ByteArrayOutputStream content = new ByteArrayOutputStream();
        writer.accept(content);
        bucket.write(prefix + blob, content.toByteArray());
    }

    @Override
    public DeleteResult delete(OperationPurpose purpose) throws IOException {
        Map<String, Long> everything = bucket.sizes(prefix, true);
        bucket.delete(everything.keySet());
        return new DeleteResult(everything.size(), everything.values().stream().mapToLong(Long::longValue).sum());
    }

    @Override
    public void deleteBlobsIgnoringIfNotExists(OperationPurpose purpose, Iterator<String> blobs) throws IOException {
        List<String> keys = new ArrayList<>();
        blobs.forEachRemaining(blob -> keys.add(prefix + blob));
        bucket.delete(keys);
    }

    @Override
    public Map<String, BlobMetadata> listBlobs(OperationPurpose purpose) throws IOException {
        return listBlobsByPrefix(purpose, "");
    }

    @Override
    public Map<String, BlobMetadata> listBlobsByPrefix(OperationPurpose purpose, String start) throws IOException {
        Map<String, BlobMetadata> blobs = new HashMap<>();
        bucket.sizes(prefix + (start == null ? "" : start), false).forEach((key, size) -> {
            String blob = key.substring(prefix.length());
            blobs.put(blob, new BlobMetadata(blob, size));
        });
        return blobs;
    }

    @Override
    public Map<String, BlobContainer> children(OperationPurpose purpose) throws IOException {
        Map<String, BlobContainer> children = new HashMap<>();
        for (String directory : bucket.directories(prefix)) {
            String child = directory.substring(prefix.length(), directory.length() - 1);
            children.put(child, new Container(path().add(child), bucket));
        }
        return children;
    }

    /** Registers serve stateless clusters and the repository analyser, neither of which the lab runs. */
    @Override
    public void compareAndExchangeRegister(
        OperationPurpose purpose,
        String key,
        BytesReference expected,
        BytesReference updated,
        ActionListener<OptionalBytesReference> listener
    ) {
        listener.onFailure(new UnsupportedOperationException("the lab's s3 repository has no registers"));
    }

    public void getRegister(OperationPurpose purpose, String key, ActionListener<OptionalBytesReference> listener) {
        listener.onFailure(new UnsupportedOperationException("the lab's s3 repository has no registers"));
    }
}
