package lab.s3;

import org.elasticsearch.common.blobstore.BlobContainer;
import org.elasticsearch.common.blobstore.BlobMetadata;
import org.elasticsearch.common.blobstore.BlobPath;
import org.elasticsearch.common.blobstore.DeleteResult;
import org.elasticsearch.common.blobstore.support.AbstractBlobContainer;
import org.elasticsearch.common.blobstore.support.PlainBlobMetadata;
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
    public boolean blobExists(String blob) throws IOException {
        return bucket.exists(prefix + blob);
    }

    @Override
    public InputStream readBlob(String blob) throws IOException {
        return bucket.read(prefix + blob);
    }

    @Override
    public InputStream readBlob(String blob, long position, long length) throws IOException {
        if (length == 0) {
            return InputStream.nullInputStream();
        }
        return bucket.read(prefix + blob, position, length);
    }

    @Override
    public void writeBlob(String blob, InputStream content, long size, boolean failIfAlreadyExists) throws IOException {
        bucket.write(prefix + blob, content.readNBytes(Math.toIntExact(size)));
    }

    @Override
    public void writeBlobAtomic(String blob, BytesReference content, boolean failIfAlreadyExists) throws IOException {
        bucket.write(prefix + blob, BytesReference.toBytes(content));
    }

    @Override
    public void writeBlob(String blob, boolean failIfAlreadyExists, boolean atomic, CheckedConsumer<OutputStream, IOException> writer)
        throws IOException {
        ByteArrayOutputStream content = new ByteArrayOutputStream();
        writer.accept(content);
        bucket.write(prefix + blob, content.toByteArray());
    }

    @Override
    public DeleteResult delete() throws IOException {
        Map<String, Long> everything = bucket.sizes(prefix, true);
        bucket.delete(everything.keySet());
        return new DeleteResult(everything.size(), everything.values().stream().mapToLong(Long::longValue).sum());
    }

    @Override
    public void deleteBlobsIgnoringIfNotExists(Iterator<String> blobs) throws IOException {
        List<String> keys = new ArrayList<>();
        blobs.forEachRemaining(blob -> keys.add(prefix + blob));
        bucket.delete(keys);
    }

    @Override
    public Map<String, BlobMetadata> listBlobs() throws IOException {
        return listBlobsByPrefix("");
    }

    @Override
    public Map<String, BlobMetadata> listBlobsByPrefix(String start) throws IOException {
        Map<String, BlobMetadata> blobs = new HashMap<>();
        bucket.sizes(prefix + (start == null ? "" : start), false).forEach((key, size) -> {
            String blob = key.substring(prefix.length());
            blobs.put(blob, new PlainBlobMetadata(blob, size));
        });
        return blobs;
    }

    @Override
    public Map<String, BlobContainer> children() throws IOException {
        Map<String, BlobContainer> children = new HashMap<>();
        for (String directory : bucket.directories(prefix)) {
            String child = directory.substring(prefix.length(), directory.length() - 1);
            children.put(child, new Container(path().add(child), bucket));
        }
        return children;
    }
}
