#include "CSealing.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "library.h"

// An error left in the thread's queue would be blamed on the next user of the
// library there.
static int settled(int success) {
    if (!success) ERR_clear_error();
    return success;
}

int csealing_hkdf(const uint8_t *key, size_t key_count, const uint8_t *salt, size_t salt_count,
                  const uint8_t *info, size_t info_count, uint8_t *derived, size_t count) {
    const struct csealing_library *library = csealing_library();
    if (!library) return 0;
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(library->hkdf);
    if (!context) return 0;
    OSSL_PARAM parameters[5];
    OSSL_PARAM *next = parameters;
    *next++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, "SHA256", 0);
    *next++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)key, key_count);
    if (salt_count > 0)
        *next++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)salt, salt_count);
    if (info_count > 0)
        *next++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)info, info_count);
    *next = OSSL_PARAM_construct_end();
    int success = EVP_KDF_derive(context, derived, count, parameters) == 1;
    EVP_KDF_CTX_free(context);
    return settled(success);
}

int csealing_random(uint8_t *bytes, size_t count) {
    return count <= INT_MAX && settled(RAND_bytes(bytes, (int)count) == 1);
}

static EVP_PKEY *private_key_of(const uint8_t *seed) {
    return EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, CSEALING_KEY_BYTES);
}

int csealing_ed25519_public_key(const uint8_t *seed, uint8_t *public_key) {
    EVP_PKEY *key = private_key_of(seed);
    size_t count = CSEALING_KEY_BYTES;
    int success = key && EVP_PKEY_get_raw_public_key(key, public_key, &count) == 1;
    EVP_PKEY_free(key);
    return settled(success);
}

int csealing_ed25519_sign(const uint8_t *seed, const uint8_t *message, size_t count,
                          uint8_t *signature) {
    EVP_PKEY *key = private_key_of(seed);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    size_t signature_count = CSEALING_SIGNATURE_BYTES;
    int success = key && context && EVP_DigestSignInit(context, NULL, NULL, NULL, key) == 1 &&
                  EVP_DigestSign(context, signature, &signature_count, message, count) == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    return settled(success);
}

int csealing_ed25519_verify(const uint8_t *public_key, const uint8_t *message, size_t count,
                            const uint8_t *signature) {
    EVP_PKEY *key =
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, CSEALING_KEY_BYTES);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    int success = key && context && EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1 &&
                  EVP_DigestVerify(context, signature, CSEALING_SIGNATURE_BYTES, message, count) ==
                      1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    return settled(success);
}

static int set_serial(X509 *certificate, const uint8_t *serial) {
    BIGNUM *number = BN_bin2bn(serial, 16, NULL);
    int success = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
    BN_free(number);
    return success;
}

static int add_extension(X509 *certificate, int name, const char *value) {
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, name, value);
    int success = extension && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return success;
}

static int fill(X509 *certificate, EVP_PKEY *key, const char *common_name, const uint8_t *serial) {
    X509_NAME *name = X509_get_subject_name(certificate);
    return X509_set_version(certificate, X509_VERSION_3) == 1 && set_serial(certificate, serial) &&
           ASN1_TIME_set_string_X509(X509_getm_notBefore(certificate), "19700101000000Z") == 1 &&
           ASN1_TIME_set_string_X509(X509_getm_notAfter(certificate), "99991231235959Z") == 1 &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)common_name, -1,
                                      -1, 0) == 1 &&
           X509_set_issuer_name(certificate, name) == 1 &&
           X509_set_pubkey(certificate, key) == 1 &&
           add_extension(certificate, NID_basic_constraints, "critical,CA:FALSE") &&
           add_extension(certificate, NID_key_usage, "critical,digitalSignature") &&
           add_extension(certificate, NID_ext_key_usage, "serverAuth,clientAuth");
}

int csealing_certificate(const uint8_t *seed, const char *common_name, const uint8_t *serial,
                         uint8_t **certificate, size_t *certificate_count,
                         uint8_t **private_key, size_t *private_key_count) {
    *certificate = NULL;
    *private_key = NULL;
    EVP_PKEY *key = private_key_of(seed);
    X509 *x509 = X509_new();
    PKCS8_PRIV_KEY_INFO *pkcs8 = key ? EVP_PKEY2PKCS8(key) : NULL;
    int certificate_length = -1;
    int private_key_length = -1;
    // Ed25519 hashes for itself: no digest is named.
    if (x509 && pkcs8 && fill(x509, key, common_name, serial) && X509_sign(x509, key, NULL) > 0) {
        certificate_length = i2d_X509(x509, certificate);
        private_key_length = i2d_PKCS8_PRIV_KEY_INFO(pkcs8, private_key);
    }
    PKCS8_PRIV_KEY_INFO_free(pkcs8);
    X509_free(x509);
    EVP_PKEY_free(key);
    *certificate_count = certificate_length > 0 ? (size_t)certificate_length : 0;
    *private_key_count = private_key_length > 0 ? (size_t)private_key_length : 0;
    if (*certificate_count > 0 && *private_key_count > 0) return 1;
    csealing_free(*certificate, *certificate_count);
    csealing_free(*private_key, *private_key_count);
    return settled(0);
}

void csealing_free(uint8_t *bytes, size_t count) { OPENSSL_clear_free(bytes, count); }
