namespace Mallku.Secrets.Storage;

/// <summary>A shared store does not answer: it is down, or out of reach, or too slow.</summary>
public sealed class StoreUnreachableException : SecretsException
{
    /// <summary>A fault of the medium or of the way to it.</summary>
    /// <param name="problem">What happened, to what. Without a password.</param>
    /// <param name="remedy">What to do now.</param>
    /// <param name="innerException">The cause.</param>
    public StoreUnreachableException(string problem, string remedy, Exception? innerException = null)
        : base(problem, remedy, innerException)
    {
    }

    /// <summary>Whether a write may have been made all the same: it was sent, and nobody has answered.</summary>
    public bool MayBeWritten { get; init; }

    /// <summary>What it comes to where it turns out that the write was not made: the medium has refused it, and trying again does not help. Null where it has not.</summary>
    internal SecretsException? Refusal { get; init; }

    /// <summary>When a watch that ends with it heard of the store for the last time, as a timestamp of <see cref="System.Diagnostics.Stopwatch"/>; null for just now.</summary>
    internal long? LastHeard { get; set; }
}
