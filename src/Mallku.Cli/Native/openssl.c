/* OpenSSL without what no verb uses. The runtime asks for the texts of a thousand errors and for a table of every
   algorithm's names; OpenSSL goes by whoever initializes it first. Saves a tenth of a whole `mallku get`. */

#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>

/* include/openssl/crypto.h of OpenSSL 1.1 and 3; the library is the machine's, its headers need not be there */
#define OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS 0x00000001u
#define OPENSSL_INIT_NO_ADD_ALL_CIPHERS 0x00000010u
#define OPENSSL_INIT_NO_ADD_ALL_DIGESTS 0x00000020u

void mallku_start_openssl_lean(void)
{
    /* whatever is missing or chosen otherwise is the runtime's to find and to complain about */
    void *library = getenv("CLR_OPENSSL_VERSION_OVERRIDE") ? 0 : dlopen("libssl.so.3", RTLD_LAZY);
    int (*initialize)(uint64_t, const void *) = 0;
    if (library) {
        *(void **)&initialize = dlsym(library, "OPENSSL_init_crypto");
    }

    if (initialize) {
        initialize(OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS | OPENSSL_INIT_NO_ADD_ALL_CIPHERS | OPENSSL_INIT_NO_ADD_ALL_DIGESTS, 0);
    }
}
