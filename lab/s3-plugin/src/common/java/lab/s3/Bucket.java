package lab.s3;

import org.elasticsearch.common.settings.Settings;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.NoSuchFileException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Consumer;
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
        return call("Failed to check if blob [" + key + "] exists", s3 -> s3.exists(name, key));
    }

    InputStream read(String key) throws IOException {
        return read(key, s3 -> s3.get(name, key));
    }

    /** @param length at least 1 */
    InputStream read(String key, long position, long length) throws IOException {
        return read(key, s3 -> s3.get(name, key, position, position + length - 1));
    }

    void write(String key, byte[] content) throws IOException {
        call("Unable to upload object [" + key + "] using a single upload", s3 -> {
            s3.put(name, key, content);
            return null;
        });
    }

    /** Sizes of the objects below a prefix, by key; recursive or, with those "directories" left out, one level deep. */
    Map<String, Long> sizes(String prefix, boolean recursive) throws IOException {
        return call("Exception when listing blobs by prefix [" + prefix + "]", s3 -> {
            Map<String, Long> sizes = new HashMap<>();
            eachPage(s3, prefix, recursive ? null : "/", page -> page.entries().forEach(entry -> sizes.put(entry.key(), entry.size())));
            return sizes;
        });
    }

    /** The "directories" right below a prefix, each as its whole prefix with the slash at its end. */
    Set<String> directories(String prefix) throws IOException {
        return call("Exception when listing children of [" + prefix + "]", s3 -> {
            Set<String> directories = new TreeSet<>();
            eachPage(s3, prefix, "/", page -> directories.addAll(page.directories()));
            return directories;
        });
    }

    void delete(Collection<String> keys) throws IOException {
        List<String> ordered = new ArrayList<>(keys);
        for (int from = 0; from < ordered.size(); from += KEYS_IN_ONE_DELETE) {
            List<String> batch = ordered.subList(from, Math.min(from + KEYS_IN_ONE_DELETE, ordered.size()));
            String failure = "Failed to delete blobs " + batch.stream().limit(10).toList();
            List<String> refused = call(failure, s3 -> s3.delete(name, batch));
            if (refused.isEmpty() == false) {
                throw new IOException(failure + ": " + refused);
            }
        }
    }

    private void eachPage(S3 s3, String prefix, String delimiter, Consumer<S3.Page> each) {
        String from = null;
        do {
            S3.Page page = s3.list(name, prefix, delimiter, from);
            each.accept(page);
            from = page.next();
        } while (from != null);
    }

    private InputStream read(String key, Function<S3, InputStream> request) throws IOException {
        try {
            return perform(request);
        } catch (RuntimeException e) {
            if (Sdk.isMissingObject(e)) {
                throw (IOException) new NoSuchFileException("Blob object [" + key + "] not found: " + e.getMessage()).initCause(e);
            }
            throw translated("Unable to read object [" + key + "]", e);
        }
    }

    private <T> T call(String failure, Function<S3, T> request) throws IOException {
        try {
            return perform(request);
        } catch (RuntimeException e) {
            throw translated(failure, e);
        }
    }

    /** What the SDK throws comes wrapped, anything else (an unknown client, a bug) as it is. */
    private static IOException translated(String failure, RuntimeException e) {
        if (Sdk.isOwn(e)) {
            return new IOException(failure, e);
        }
        throw e;
    }

    /** Asks for the client at every request: after a reload the next one goes out with the new keys. */
    private <T> T perform(Function<S3, T> request) {
        return Privileged.call(() -> request.apply(clients.get(repository)));
    }
}
