/* OpenSSL without what no verb uses. The runtime asks for the texts of a thousand errors, for a table of every
   algorithm's names and for the machine's configuration of TLS; OpenSSL goes by whoever initializes it first, and what it
   was told to leave out then stays out. TLS finds in that table what a certificate is signed with: the program that
   connects (MALLKU_CONNECTS) has it. */

#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

/* include/openssl/crypto.h of OpenSSL 1.1 and 3 */
#define OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS 0x00000001u
#define OPENSSL_INIT_NO_ADD_ALL_CIPHERS 0x00000010u
#define OPENSSL_INIT_NO_ADD_ALL_DIGESTS 0x00000020u
#define OPENSSL_INIT_NO_ATEXIT 0x00080000u

#ifdef MALLKU_CONNECTS
#define LEFT_OUT OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS
#else
#define LEFT_OUT (OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS | OPENSSL_INIT_NO_ADD_ALL_CIPHERS | OPENSSL_INIT_NO_ADD_ALL_DIGESTS)
#endif

/* here where it is linked into the binary, and null where the machine's library is used */
extern int OPENSSL_init_crypto(uint64_t, const void *) __attribute__((weak));

void mallku_start_openssl_lean(void)
{
    int (*initialize)(uint64_t, const void *) = OPENSSL_init_crypto;
    if (!initialize && !getenv("CLR_OPENSSL_VERSION_OVERRIDE")) {
        /* whatever is missing or chosen otherwise is the runtime's to find and to complain about */
        void *library = dlopen("libssl.so.3", RTLD_LAZY);
        if (library) {
            *(void **)&initialize = dlsym(library, "OPENSSL_init_crypto");
        }
    }

    if (initialize) {
        /* nor a clean-up at the end, which would take from under the threads that still run what they use */
        initialize(LEFT_OUT | OPENSSL_INIT_NO_ATEXIT, 0);
    }
}

/* here where TLS is linked into the binary */
extern const char *X509_get_default_cert_dir(void) __attribute__((weak));
extern const char *X509_get_default_cert_file(void) __attribute__((weak));

/* The certificates that TLS trusts are where the machine that linked OpenSSL has them; other distributions have them
   elsewhere. What the user says wins. */
void mallku_find_certificates(void)
{
    static const char *const bundles[] = {
        "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem",
    };
    if (!X509_get_default_cert_dir || !X509_get_default_cert_file || getenv("SSL_CERT_FILE") || getenv("SSL_CERT_DIR")
        || access(X509_get_default_cert_dir(), R_OK) == 0 || access(X509_get_default_cert_file(), R_OK) == 0) {
        return;
    }

    for (unsigned i = 0; i < sizeof bundles / sizeof *bundles; i++) {
        if (access(bundles[i], R_OK) == 0) {
            setenv("SSL_CERT_FILE", bundles[i], 0);
            return;
        }
    }
}
