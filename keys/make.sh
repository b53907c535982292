#!/bin/bash
# Makes the sample keys again. They open the captures in ../captures and nothing
# else: never use one for real. (New keys need new captures: ../captures/make.sh.)
set -eu
cd "$(dirname "$0")"

openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out server.pem
openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out other.pem
openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out client.pem
# So short that EXPORT suites use the certificate's own key.
openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:512 -out export.pem

cert() { # key, CN, file, extended usage
	openssl req -x509 -new -key "$1" -subj "/C=DE/O=limpid samples/CN=$2" -days 7300 -sha256 -out "$3" \
		-addext "keyUsage=digitalSignature,keyEncipherment" -addext "extendedKeyUsage=$4" \
		-addext "subjectAltName=DNS:$2" -addext "basicConstraints=critical,CA:FALSE"
}
cert server.pem server.example server.crt serverAuth
cert other.pem other.example other.crt serverAuth
cert export.pem export.example export.crt serverAuth
cert client.pem client.example client.crt clientAuth

# For static ECDH, whose suites name the signature of the certificate: two certificates of a key.
openssl ecparam -name prime256v1 -genkey -noout -out ec.pem
ec_cert() { # more arguments
	openssl req -x509 -new -key ec.pem -subj "/C=DE/O=limpid samples/CN=ec.example" -days 7300 -sha256 \
		-addext "keyUsage=digitalSignature,keyAgreement" -addext "basicConstraints=critical,CA:FALSE" "$@"
}
ec_cert -out ec.crt
ec_cert -CA other.crt -CAkey other.pem -out ec-rsa.crt

# The server's key as it comes in the wild.
mkdir -p forms
openssl rsa -in server.pem -traditional -out forms/pkcs1.pem
openssl rsa -in server.pem -traditional -outform DER -out forms/pkcs1.der
openssl pkcs8 -topk8 -nocrypt -in server.pem -outform DER -out forms/pkcs8.der
printf 'open sesame\n' > forms/passphrase
openssl pkcs8 -topk8 -in server.pem -passout file:forms/passphrase -out forms/pbes2.pem
openssl pkcs8 -topk8 -in server.pem -passout file:forms/passphrase -outform DER -out forms/pbes2.der
openssl pkcs8 -topk8 -in server.pem -passout file:forms/passphrase -v2 des3 -out forms/pbes2-des3.pem
openssl rsa -in server.pem -traditional -aes256 -passout file:forms/passphrase -out forms/legacy-aes.pem
# A certificate and its key in one file, as HAProxy keeps them.
cat server.crt server.pem > forms/with-certificate.pem
chmod 600 ./*.pem forms/*
