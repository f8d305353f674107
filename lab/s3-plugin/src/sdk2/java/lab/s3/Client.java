package lab.s3;

import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.model.CommonPrefix;
import software.amazon.awssdk.services.s3.model.ListObjectsV2Response;
import software.amazon.awssdk.services.s3.model.NoSuchKeyException;
import software.amazon.awssdk.services.s3.model.ObjectIdentifier;
import software.amazon.awssdk.services.s3.model.S3Error;

import java.io.InputStream;
import java.util.List;

/** S3 through AWS SDK v2. */
record Client(S3Client sdk) implements S3 {
    @Override
    public boolean exists(String bucket, String key) {
        try {
            sdk.headObject(request -> request.bucket(bucket).key(key));
            return true;
        } catch (NoSuchKeyException e) {
            return false;
        }
    }

    @Override
    public InputStream get(String bucket, String key) {
        return sdk.getObject(request -> request.bucket(bucket).key(key));
    }

    @Override
    public InputStream get(String bucket, String key, long first, long last) {
        return sdk.getObject(request -> request.bucket(bucket).key(key).range("bytes=" + first + "-" + last));
    }

    @Override
    public void put(String bucket, String key, byte[] content) {
        sdk.putObject(request -> request.bucket(bucket).key(key), RequestBody.fromBytes(content));
    }

    @Override
    public Page list(String bucket, String prefix, String delimiter, String from) {
        ListObjectsV2Response answer = sdk.listObjectsV2(
            request -> request.bucket(bucket).prefix(prefix).delimiter(delimiter).continuationToken(from)
        );
        return new Page(
            answer.contents().stream().map(object -> new Entry(object.key(), object.size())).toList(),
            answer.commonPrefixes().stream().map(CommonPrefix::prefix).toList(),
            answer.nextContinuationToken()
        );
    }

    @Override
    public List<String> delete(String bucket, List<String> keys) {
        List<ObjectIdentifier> objects = keys.stream().map(key -> ObjectIdentifier.builder().key(key).build()).toList();
        return sdk.deleteObjects(request -> request.bucket(bucket).delete(delete -> delete.objects(objects).quiet(true)))
            .errors()
            .stream()
            .map(S3Error::toString)
            .toList();
    }
}
