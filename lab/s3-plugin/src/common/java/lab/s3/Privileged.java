package lab.s3;

import java.security.AccessController;
import java.security.PrivilegedAction;
import java.util.function.Supplier;

/** Calls into the SDK as the plugin itself: 7.17's security manager asks for it, later lines take it as a plain call. */
final class Privileged {
    private Privileged() {}

    @SuppressWarnings("removal")
    static <T> T call(Supplier<T> action) {
        return AccessController.doPrivileged((PrivilegedAction<T>) action::get);
    }
}
