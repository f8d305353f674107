package lab.s3;

import com.amazonaws.services.s3.AmazonS3;
import com.amazonaws.services.s3.model.DeleteObjectsRequest;
import com.amazonaws.services.s3.model.GetObjectRequest;
import com.amazonaws.services.s3.model.ListObjectsRequest;
import com.amazonaws.services.s3.model.ObjectListing;
import com.amazonaws.services.s3.model.ObjectMetadata;

import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.util.List;

/** S3 through AWS SDK v1. */
record Client(AmazonS3 sdk) implements S3 {
    @Override
    public boolean exists(String bucket, String key) {
        return sdk.doesObjectExist(bucket, key);
    }

    @Override
    public InputStream get(String bucket, String key) {
        return sdk.getObject(bucket, key).getObjectContent();
    }

    @Override
    public InputStream get(String bucket, String key, long first, long last) {
        return sdk.getObject(new GetObjectRequest(bucket, key).withRange(first, last)).getObjectContent();
    }

    @Override
    public void put(String bucket, String key, byte[] content) {
        ObjectMetadata metadata = new ObjectMetadata();
        metadata.setContentLength(content.length);
        sdk.putObject(bucket, key, new ByteArrayInputStream(content), metadata);
    }

    @Override
    public Page list(String bucket, String prefix, String delimiter, String from) {
        ObjectListing answer = sdk.listObjects(new ListObjectsRequest(bucket, prefix, from, delimiter, null));
        return new Page(
            answer.getObjectSummaries().stream().map(object -> new Entry(object.getKey(), object.getSize())).toList(),
            answer.getCommonPrefixes(),
            answer.isTruncated() ? answer.getNextMarker() : null
        );
    }

    /** Names nothing: what could not be deleted is a MultiObjectDeleteException here. */
    @Override
    public List<String> delete(String bucket, List<String> keys) {
        sdk.deleteObjects(new DeleteObjectsRequest(bucket).withKeys(keys.toArray(String[]::new)).withQuiet(true));
        return List.of();
    }
}
