using System.Runtime.InteropServices;

namespace Mallku.Bench;

/// <summary>
/// What OpenSSL itself takes for AES-128-CBC and HMAC-SHA256 over the same bytes, one after the other on one thread: the
/// floor under any Fernet. No base64, no fresh IV, no clock, no allocation.
/// </summary>
internal sealed unsafe partial class OpenSsl : IDisposable
{
    private const int BlockLength = 16, KeyLength = 16, MacLength = 32;
    private readonly nint _context = EVP_CIPHER_CTX_new();
    private readonly nint _aes = EVP_aes_128_cbc();
    private readonly nint _sha = EVP_sha256();
    private readonly byte[] _key = new byte[KeyLength], _mac = new byte[MacLength];
    private readonly byte[] _plaintext, _ciphertext;

    internal OpenSsl(byte[] plaintext)
    {
        _plaintext = [.. plaintext, .. new byte[BlockLength]];
        _ciphertext = new byte[((plaintext.Length / BlockLength) + 1) * BlockLength];
        Encrypt(plaintext.Length);
    }

    internal void Encrypt(int length)
    {
        fixed (byte* input = _plaintext, output = _ciphertext, key = _key)
        {
            int first, last;
            Require(EVP_EncryptInit_ex(_context, _aes, 0, key, key));
            Require(EVP_EncryptUpdate(_context, output, &first, input, length));
            Require(EVP_EncryptFinal_ex(_context, output + first, &last));
        }

        Sign();
    }

    internal void Decrypt()
    {
        Sign();
        fixed (byte* input = _ciphertext, output = _plaintext, key = _key)
        {
            int first, last;
            Require(EVP_DecryptInit_ex(_context, _aes, 0, key, key));
            Require(EVP_DecryptUpdate(_context, output, &first, input, _ciphertext.Length));
            Require(EVP_DecryptFinal_ex(_context, output + first, &last));
        }
    }

    public void Dispose() => EVP_CIPHER_CTX_free(_context);

    private void Sign()
    {
        fixed (byte* input = _ciphertext, key = _key, mac = _mac)
        {
            uint written;
            Require(HMAC(_sha, key, KeyLength, input, (nuint)_ciphertext.Length, mac, &written) != 0 ? 1 : 0);
        }
    }

    private static void Require(int result)
    {
        if (result != 1)
        {
            throw new InvalidOperationException("OpenSSL refused the call.");
        }
    }

    private const string Library = "libcrypto.so.3";

    [LibraryImport(Library)]
    private static partial nint EVP_CIPHER_CTX_new();

    [LibraryImport(Library)]
    private static partial void EVP_CIPHER_CTX_free(nint context);

    [LibraryImport(Library)]
    private static partial nint EVP_aes_128_cbc();

    [LibraryImport(Library)]
    private static partial nint EVP_sha256();

    [LibraryImport(Library)]
    private static partial int EVP_EncryptInit_ex(nint context, nint type, nint engine, byte* key, byte* iv);

    [LibraryImport(Library)]
    private static partial int EVP_EncryptUpdate(nint context, byte* output, int* written, byte* input, int length);

    [LibraryImport(Library)]
    private static partial int EVP_EncryptFinal_ex(nint context, byte* output, int* written);

    [LibraryImport(Library)]
    private static partial int EVP_DecryptInit_ex(nint context, nint type, nint engine, byte* key, byte* iv);

    [LibraryImport(Library)]
    private static partial int EVP_DecryptUpdate(nint context, byte* output, int* written, byte* input, int length);

    [LibraryImport(Library)]
    private static partial int EVP_DecryptFinal_ex(nint context, byte* output, int* written);

    [LibraryImport(Library)]
    private static partial nint HMAC(nint type, byte* key, int keyLength, byte* data, nuint length, byte* mac, uint* written);
}
