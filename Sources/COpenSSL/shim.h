#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/kdf.h>
#include <openssl/x509.h>
#include <openssl/rand.h>
#include <openssl/err.h>
