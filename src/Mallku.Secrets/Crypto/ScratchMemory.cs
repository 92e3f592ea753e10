using System.Security.Cryptography;

namespace Mallku.Secrets.Crypto;

/// <summary>
/// Memory for what is in the clear for a moment: it stays in place, so that no copy is left where the garbage collector has moved
/// it from, and is wiped when it is given back. Safe for concurrent use.
/// </summary>
/// <remarks>Arrays that stay in place are dear to make and to collect, so some are kept for those who come next.</remarks>
internal static class ScratchMemory
{
    private const int KeptLength = 1 << 14;
    private static readonly IdleObjects<byte[]> Idle = new();

    /// <summary>An array of zeros, of at least this length, for this caller alone until he gives it back; one that is not given back is collected.</summary>
    internal static byte[] Rent(int length) =>
        (length <= KeptLength ? Idle.Take() : null) ?? SecretValue.Allocate(Math.Max(length, KeptLength));

    /// <summary>Wipes what was written into it. Nobody may use it from then on.</summary>
    internal static void Return(byte[] memory, int written)
    {
        CryptographicOperations.ZeroMemory(memory.AsSpan(0, written));
        if (memory.Length == KeptLength)
        {
            Idle.TryGive(memory);
        }
    }
}
