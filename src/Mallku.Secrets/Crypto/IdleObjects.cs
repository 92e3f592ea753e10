namespace Mallku.Secrets.Crypto;

/// <summary>A few objects that are dear to make and that one caller at a time may use, one for each processor. Safe for concurrent use.</summary>
internal sealed class IdleObjects<T>
    where T : class
{
    private readonly T?[] _places = new T?[Environment.ProcessorCount];

    /// <summary>One that nobody uses; null where there is none.</summary>
    internal T? Take()
    {
        foreach (ref var place in _places.AsSpan())
        {
            if (Interlocked.Exchange(ref place, null) is { } idle)
            {
                return idle;
            }
        }

        return null;
    }

    /// <summary>Leaves one for the next caller; false where there are enough.</summary>
    internal bool TryGive(T idle)
    {
        foreach (ref var place in _places.AsSpan())
        {
            if (Interlocked.CompareExchange(ref place, idle, null) is null)
            {
                return true;
            }
        }

        return false;
    }
}
