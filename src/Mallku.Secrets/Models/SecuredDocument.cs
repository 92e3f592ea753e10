namespace Mallku.Secrets.Models;

/// <summary>A sealed record as the medium gets it.</summary>
/// <param name="Json">A JSON object in UTF-8.</param>
/// <param name="Terms">Under what it is found.</param>
internal sealed record SecuredDocument(ReadOnlyMemory<byte> Json, IReadOnlyList<string> Terms);

/// <summary>Where a document belongs: it opens nowhere else.</summary>
/// <param name="Kind">The kind of its record.</param>
/// <param name="Id">The id of its record.</param>
/// <param name="Bound">More that is bound to it and not in it.</param>
internal readonly record struct SealContext(string Kind, string Id, ReadOnlyMemory<byte> Bound = default);

/// <summary>A record does not authenticate: which of the reasons it is can't be told.</summary>
internal sealed class RecordOpenException : SecretsException
{
    internal RecordOpenException(SealContext context)
        : base(
            $"the record '{Show(context.Id)}' ({context.Kind}) does not open: it was altered or moved, or is of another store, or sealed under a key that is not here",
            "use the store's own key; where that is what was used, put a backup of the record in its place, or, where there never was one, remove it: somebody has put it there")
    {
    }

    private RecordOpenException(string problem, string remedy, RecordOpenException inner)
        : base(problem, remedy, inner)
    {
    }

    /// <summary>What is under a data key that was replaced does not count, whoever has sealed it.</summary>
    internal static RecordOpenException OfReplacedKey(string id, RecordOpenException inner) => new(
        $"the record '{Show(id)}' is under a data key that was replaced: an older state of it was put back, or somebody who has learned that key has written it",
        "put a backup of the record from after the last reseal in its place, or, where there is none, remove it and set the secret again",
        inner);

    /// <summary>The same of a value, whose secret has a name; where it is that of a pending version, only the end of its rotation helps.</summary>
    internal static RecordOpenException OfValue(string name, int version, RecordOpenException inner, bool isPending = false) => new(
        $"the value of version {version} of '{Show(name)}' can't be used: {inner.Problem}",
        $"{(isPending ? $"give its rotation up: mallku rotate {Show(name)} --abandon" : "set it again")}, or put a backup of the record in its place",
        inner);
}
