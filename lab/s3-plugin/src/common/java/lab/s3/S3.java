package lab.s3;

import java.io.InputStream;
import java.util.List;

/**
 * One S3 client, whichever AWS SDK it is built on. Failures are the SDK's own exceptions, which {@link Sdk#isOwn} knows:
 * what Elasticsearch makes of them is {@link Bucket}'s business.
 */
interface S3 {
    /** One page of a listing. @param next what {@link #list} takes for the following page, null on the last */
    record Page(List<Entry> entries, List<String> directories, String next) {}

    record Entry(String key, long size) {}

    boolean exists(String bucket, String key);

    InputStream get(String bucket, String key);

    /** The bytes from first to last, both included. */
    InputStream get(String bucket, String key, long first, long last);

    void put(String bucket, String key, byte[] content);

    /** @param delimiter null to list everything below the prefix; from: null for the first page */
    Page list(String bucket, String prefix, String delimiter, String from);

    /** At most a thousand keys; what could not be deleted is an exception or is named in the answer. */
    List<String> delete(String bucket, List<String> keys);
}
