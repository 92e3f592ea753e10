namespace Mallku.Secrets.Models;

/// <summary>What of a field the medium may see.</summary>
internal enum Obfuscation
{
    /// <summary>Its name and its value.</summary>
    None,

    /// <summary>Its value, under a UUID in the place of its name.</summary>
    UuidOnly,

    /// <summary>A UUID and a ciphertext.</summary>
    Encrypted,
}

/// <summary>How a record is found by a field, and so what the index tells whoever reads it.</summary>
internal enum IndexStrategy
{
    /// <summary>Not at all.</summary>
    None,

    /// <summary>By the value itself, or a range of values.</summary>
    Identity,

    /// <summary>By a keyed hash, which is the same for equal values in all fields of a group.</summary>
    Deterministic,

    /// <summary>By a keyed hash of the field's own.</summary>
    Blind,

    /// <summary>By a time that is shifted by a secret constant: a range of times. The field's value, where it is not encrypted, is shifted too.</summary>
    TemporalOffset,

    /// <summary>By a keyed hash of the range of numbers or times that it lies in: a range finds these and some around them.</summary>
    Bucketed,
}

/// <summary>What a field is searched for.</summary>
internal enum Search
{
    /// <summary>A value.</summary>
    Equality,

    /// <summary>All between two values.</summary>
    Range,
}

/// <summary>Says of a property, once and for every store, how its field is kept and found. docs/formats/secured-model-v1.md</summary>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class SecuredAttribute(Obfuscation obfuscation, IndexStrategy index = IndexStrategy.None) : Attribute
{
    public Obfuscation Obfuscation => obfuscation;

    public IndexStrategy Index => index;

    /// <summary>What the field must be good for: a strategy that can't do it is refused.</summary>
    public Search Searchable { get; init; }

    /// <summary>For <see cref="IndexStrategy.Bucketed"/>: how wide a bucket is; of times, in seconds.</summary>
    public long BucketWidth { get; init; }

    /// <summary>For <see cref="IndexStrategy.Deterministic"/>: the fields whose equal values show as equal; by default those of the model.</summary>
    public string? Group { get; init; }
}
