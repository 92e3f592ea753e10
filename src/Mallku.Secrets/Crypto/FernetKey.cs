using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;

namespace Mallku.Secrets.Crypto;

/// <summary>One Fernet key: 16 bytes that sign, and 16 bytes that encrypt.</summary>
internal sealed class FernetKey : IDisposable
{
    internal const int Length = 32;
    private const int HalfLength = 16;
    private const int BlockLength = 16;
    private const int CheapToCopy = 1 << 16;
    private readonly byte[] _key;

    // Making the platform's objects costs more than a small token does, and they are not safe for several threads:
    // whoever finds none makes them, and leaves them here.
    private Engine? _idle;
    private volatile bool _wiped;

    private FernetKey(byte[] key) => _key = key;

    internal static bool TryParse(ReadOnlySpan<byte> text, [NotNullWhen(true)] out FernetKey? key)
    {
        // a decoder needs room for the whole last group
        Span<byte> decoded = stackalloc byte[Length + 1];
        var valid = text.Length == Fernet.KeyLength && PaddedBase64Url.TryDecode(text, decoded, out var length) && length == Length;
        key = null;
        if (valid)
        {
            var pinned = SecretValue.Allocate(Length);
            decoded[..Length].CopyTo(pinned);
            key = new FernetKey(pinned);
        }

        CryptographicOperations.ZeroMemory(decoded);
        return valid;
    }

    /// <summary>Encrypts under the given IV, or under a fresh random one where it is empty, and writes which it was.</summary>
    internal void Encrypt(ReadOnlySpan<byte> plaintext, ReadOnlySpan<byte> givenIv, Span<byte> iv, Span<byte> ciphertext)
    {
        var engine = Borrow();
        if (givenIv.IsEmpty)
        {
            engine.NextIv(iv);
        }
        else
        {
            givenIv.CopyTo(iv);
        }

        engine.Aes.EncryptCbc(plaintext, iv, ciphertext);
        GiveBack(engine);
    }

    internal void Sign(ReadOnlySpan<byte> data, Span<byte> mac)
    {
        var engine = Borrow();
        engine.Mac.AppendData(data);
        engine.Mac.GetHashAndReset(mac);
        GiveBack(engine);
    }

    /// <summary>Decrypts what has been authenticated; false where the padding is wrong all the same.</summary>
    internal bool TryDecrypt(ReadOnlySpan<byte> ciphertext, ReadOnlySpan<byte> iv, Span<byte> plaintext, PaddingMode padding, out int written)
    {
        var engine = Borrow();
        try
        {
            return engine.Aes.TryDecryptCbc(ciphertext, iv, plaintext, out written, padding);
        }
        catch (CryptographicException)
        {
            written = 0;
            return false;
        }
        finally
        {
            GiveBack(engine);
        }
    }

    /// <summary>The same into an array of the right length, or null. The ciphertext is used up.</summary>
    internal byte[]? Decrypt(Span<byte> ciphertext, ReadOnlySpan<byte> iv)
    {
        if (ciphertext.Length <= CheapToCopy)
        {
            var decrypted = TryDecrypt(ciphertext, iv, ciphertext, PaddingMode.PKCS7, out var length) ? ciphertext[..length].ToArray() : null;
            CryptographicOperations.ZeroMemory(ciphertext);
            return decrypted;
        }

        // The padding in the last block tells the length, so that nothing has to be copied afterwards.
        Span<byte> last = stackalloc byte[BlockLength];
        var split = ciphertext.Length - BlockLength;
        var ivOfLast = ciphertext.Slice(split - BlockLength, BlockLength);
        if (!TryDecrypt(ciphertext[split..], ivOfLast, last, PaddingMode.PKCS7, out var lastLength))
        {
            return null;
        }

        var plaintext = GC.AllocateUninitializedArray<byte>(split + lastLength);
        TryDecrypt(ciphertext[..split], iv, plaintext, PaddingMode.None, out _);
        last[..lastLength].CopyTo(plaintext.AsSpan(split));
        CryptographicOperations.ZeroMemory(last);
        return plaintext;
    }

    ~FernetKey() => CryptographicOperations.ZeroMemory(_key);

    public void Dispose()
    {
        _wiped = true;
        CryptographicOperations.ZeroMemory(_key);
        Interlocked.Exchange(ref _idle, null)?.Dispose();
        GC.SuppressFinalize(this);
    }

    private Engine Borrow()
    {
        var engine = Interlocked.Exchange(ref _idle, null) ?? new Engine(_key);

        // A wiped key is all zeros, which works and which everybody knows. Asked only now, because it may have been wiped
        // while the engine was made.
        if (_wiped)
        {
            engine.Dispose();
            throw new ObjectDisposedException(nameof(Fernet));
        }

        return engine;
    }

    private void GiveBack(Engine engine)
    {
        Interlocked.Exchange(ref _idle, engine)?.Dispose();
        if (_wiped)
        {
            Interlocked.Exchange(ref _idle, null)?.Dispose();
        }
    }

    /// <summary>What one thread at a time works with.</summary>
    private sealed class Engine : IDisposable
    {
        // The generator takes as long for one IV as for these; each is handed out once and then overwritten.
        private readonly byte[] _ivs = new byte[32 * BlockLength];
        private int _used;

        internal Engine(ReadOnlySpan<byte> key)
        {
            _used = _ivs.Length;
            Aes = Aes.Create();
            Aes.SetKey(key[HalfLength..]);
            Mac = IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, key[..HalfLength]);
        }

        internal Aes Aes { get; }

        internal IncrementalHash Mac { get; }

        internal void NextIv(Span<byte> iv)
        {
            if (_used == _ivs.Length)
            {
                RandomNumberGenerator.Fill(_ivs);
                _used = 0;
            }

            var next = _ivs.AsSpan(_used, BlockLength);
            next.CopyTo(iv);
            next.Clear();
            _used += BlockLength;
        }

        public void Dispose()
        {
            Aes.Dispose();
            Mac.Dispose();
        }
    }
}
