package lab.s3;

import org.elasticsearch.common.settings.Settings;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.model.CommonPrefix;
import software.amazon.awssdk.services.s3.model.DeleteObjectsResponse;
import software.amazon.awssdk.services.s3.model.ListObjectsV2Response;
import software.amazon.awssdk.services.s3.model.NoSuchKeyException;
import software.amazon.awssdk.services.s3.model.ObjectIdentifier;
import software.amazon.awssdk.services.s3.model.S3Object;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.NoSuchFileException;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Function;

/**
 * The S3 requests of a repository, without Elasticsearch's blob types, and their failures in repository-s3's words.
 * A blob goes up in one request from memory: the lab's blobs are small, and multipart uploads would only repeat the SDK.
 */
final class Bucket {
    private static final int KEYS_IN_ONE_DELETE = 1000;

    private final Clients clients;
    private final Settings repository;
    private final String name;

    Bucket(Clients clients, Settings repository) {
        this.clients = clients;
        this.repository = repository;
        this.name = repository.get("bucket");
    }

    /** The bucket's name: Elasticsearch prints it in "store location [...] is not accessible". */
    @Override
    public String toString() {
        return name;
    }

    boolean exists(String key) throws IOException {
        return call("Failed to check if blob [" + key + "] exists", client -> {
            try {
                client.headObject(request -> request.bucket(name).key(key));
                return true;
            } catch (NoSuchKeyException e) {
                return false;
            }
        });
    }

    /** @param range as HTTP's Range header has it, null for the whole blob */
    InputStream read(String key, String range) throws IOException {
        try {
            return perform(client -> client.getObject(request -> request.bucket(name).key(key).range(range)));
        } catch (NoSuchKeyException e) {
            throw (IOException) new NoSuchFileException("Blob object [" + key + "] not found: " + e.getMessage()).initCause(e);
        } catch (SdkException e) {
            throw new IOException("Unable to read object [" + key + "]", e);
        }
    }

    void write(String key, byte[] content) throws IOException {
        call(
            "Unable to upload object [" + key + "] using a single upload",
            client -> client.putObject(request -> request.bucket(name).key(key), RequestBody.fromBytes(content))
        );
    }

    /** Sizes of the objects below a prefix, by key; recursive or, with those "directories" left out, one level deep. */
    Map<String, Long> sizes(String prefix, boolean recursive) throws IOException {
        return call("Exception when listing blobs by prefix [" + prefix + "]", client -> {
            Map<String, Long> sizes = new HashMap<>();
            for (ListObjectsV2Response page : pages(client, prefix, recursive ? null : "/")) {
                for (S3Object object : page.contents()) {
                    sizes.put(object.key(), object.size());
                }
            }
            return sizes;
        });
    }

    /** The "directories" right below a prefix, each as its whole prefix with the slash at its end. */
    Set<String> directories(String prefix) throws IOException {
        return call("Exception when listing children of [" + prefix + "]", client -> {
            Set<String> directories = new TreeSet<>();
            for (ListObjectsV2Response page : pages(client, prefix, "/")) {
                for (CommonPrefix directory : page.commonPrefixes()) {
                    directories.add(directory.prefix());
                }
            }
            return directories;
        });
    }

    void delete(Collection<String> keys) throws IOException {
        List<ObjectIdentifier> objects = keys.stream().map(key -> ObjectIdentifier.builder().key(key).build()).toList();
        for (int from = 0; from < objects.size(); from += KEYS_IN_ONE_DELETE) {
            List<ObjectIdentifier> batch = objects.subList(from, Math.min(from + KEYS_IN_ONE_DELETE, objects.size()));
            String failure = "Failed to delete blobs " + batch.stream().limit(10).map(ObjectIdentifier::key).toList();
            DeleteObjectsResponse answer = call(
                failure,
                client -> client.deleteObjects(request -> request.bucket(name).delete(d -> d.objects(batch).quiet(true)))
            );
            if (answer.errors().isEmpty() == false) {
                throw new IOException(failure + ": " + answer.errors());
            }
        }
    }

    private Iterable<ListObjectsV2Response> pages(S3Client client, String prefix, String delimiter) {
        return client.listObjectsV2Paginator(request -> request.bucket(name).prefix(prefix).delimiter(delimiter));
    }

    private <T> T call(String failure, Function<S3Client, T> request) throws IOException {
        try {
            return perform(request);
        } catch (SdkException e) {
            throw new IOException(failure, e);
        }
    }

    /** Asks for the client at every request: after a reload the next one goes out with the new keys. */
    private <T> T perform(Function<S3Client, T> request) {
        return Privileged.call(() -> request.apply(clients.get(repository)));
    }
}
