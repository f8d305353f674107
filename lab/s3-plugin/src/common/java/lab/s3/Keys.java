package lab.s3;

/** Static credentials of the keystore. @param sessionToken null for a long-lived pair */
record Keys(String accessKey, String secretKey, String sessionToken) {
    /** Names none of them: whatever prints a client's settings must not print its keys. */
    @Override
    public String toString() {
        return "Keys";
    }
}
