using CsCheck;
using Mallku.Secrets.Models;
using Mallku.Secrets.Storage;

namespace Mallku.Secrets.Tests.Models;

/// <summary>Records are found by what their fields hold, and an index tells no more than its strategy says.</summary>
public sealed class SecuredModelTermTests
{
    private static readonly SecuredModel<Head> Model = SampleModels.Open(SampleModels.Fresh());

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Records_are_found_in_a_store_by_value_and_by_range()
    {
        await using var store = new MemoryRecordStore();
        var heads = Enumerable.Range(0, 40).Select(i => SampleModels.Ana with
        {
            Name = $"name-{i % 20}", Generation = i - 20, Size = i - 20, Created = SampleModels.Ana.Created.AddHours(i), Due = i == 0 ? null : SampleModels.Ana.Created.AddDays(i),
        }).ToList();
        foreach (var (head, i) in heads.Select((head, i) => (head, i)))
        {
            var (json, terms) = Model.Seal(head, Place(i));
            Assert.True(await store.WriteAsync([new(new(RecordKind.Secret, Place(i).Id), null, json) { Terms = terms }], Cancel));
        }

        var name = Model.Term(nameof(Head.Name), "name-7");
        Assert.Equal([7, 27], await FindAsync(store, heads, [new(name, name)]));
        Assert.Equal(Enumerable.Range(13, 12), await FindAsync(store, heads, Model.TermRange(nameof(Head.Generation), -7, 4)));
        Assert.Equal([3, 4, 5], await FindAsync(store, heads, Model.TermRange(nameof(Head.Created), heads[3].Created, heads[5].Created)));

        // whole buckets: -20…-11, -10…-1
        Assert.Equal(Enumerable.Range(0, 20), await FindAsync(store, heads, Model.TermRange(nameof(Head.Size), -12, -9)));
        var due = await FindAsync(store, heads, Model.TermRange(nameof(Head.Due), heads[5].Due!.Value, heads[6].Due!.Value));
        Assert.Superset(new HashSet<int> { 5, 6 }, due.ToHashSet());
        Assert.InRange(due.Count, 2, 4);
        Assert.Empty(Model.TermRange(nameof(Head.Generation), 4, -7));
    }

    [Fact]
    public void A_term_is_what_every_medium_takes() => SampleModels.Heads.Sample(
        head =>
        {
            var (json, terms) = Model.Seal(head, SampleModels.Place);
            RecordWrite.Require([new(new(RecordKind.Secret, "a"), null, json) { Terms = terms }], int.MaxValue);
            Assert.Contains(Model.Term(nameof(Head.Name), head.Name), terms, StringComparer.Ordinal);
            Assert.Equal(3 + (head.Owner is null ? 1 : 2) + (head.Due is null ? 0 : 1) + (head.Size is null ? 0 : 1), terms.Count);
        },
        iter: 200);

    [Fact]
    public void Ranges_keep_the_order_of_numbers_and_of_hidden_times() => Gen.Select(Gen.Long, Gen.Long, Gen.DateTimeOffset, Gen.DateTimeOffset).Sample(
        (a, b, first, second) =>
        {
            Assert.Equal(a.CompareTo(b), Math.Sign(string.CompareOrdinal(Model.Term("Generation", a), Model.Term("Generation", b))));
            Assert.Equal(first.CompareTo(second), Math.Sign(string.CompareOrdinal(Model.Term("Created", first), Model.Term("Created", second))));
        },
        iter: 2_000);

    [Theory]
    [InlineData(long.MinValue)]
    [InlineData(-1L)]
    [InlineData(0L)]
    [InlineData(long.MaxValue)]
    public void The_ends_of_numbers_and_times_are_sealed_too(long number)
    {
        var head = SampleModels.Ana with { Generation = number, Created = number < 0 ? DateTimeOffset.MinValue : DateTimeOffset.MaxValue, Size = number < 0 ? int.MinValue : int.MaxValue };
        Assert.Equal(head, Model.Open(Model.Seal(head, SampleModels.Place).Json, SampleModels.Place));
    }

    [Fact]
    public void Equal_values_show_as_equal_in_a_group_and_nowhere_else()
    {
        var suffixes = new[] { "Name", "Owner", "Reviewer" }.Select(field => Model.Term(field, "ana").Split('.')[1]).ToList();
        Assert.Equal(suffixes[1], suffixes[2]);
        Assert.NotEqual(suffixes[0], suffixes[1], StringComparer.Ordinal);
        Assert.NotEqual(Model.Term("Owner", "ana"), Model.Term("Owner", "Ana"), StringComparer.Ordinal);
        Assert.NotEqual(Model.Term("Owner", "ana"), SampleModels.Open(SampleModels.Fresh(index: 1)).Term("Owner", "ana"), StringComparer.Ordinal);
    }

    [Fact]
    public void Times_are_shifted_by_up_to_ten_years_by_the_index_key_alone()
    {
        var offsets = Enumerable.Range(0, 200).Select(i => TimeSpan.FromTicks(new IndexKey([(byte)i, .. new byte[31]]).TimeOffset)).ToList();
        Assert.All(offsets, offset => Assert.InRange(offset.TotalDays, -3650, 3650));
        Assert.Distinct(offsets);
        Assert.Contains(offsets, offset => offset.TotalDays < -1800);
        Assert.Contains(offsets, offset => offset.TotalDays > 1800);
    }

    [Fact]
    public void A_search_that_a_field_is_not_made_for_is_misuse()
    {
        Assert.Throws<ArgumentException>(() => Model.Term("name", "a"));
        Assert.Throws<ArgumentException>(() => Model.Term(nameof(Head.Engine), "a"));
        Assert.Throws<ArgumentException>(() => Model.Term(nameof(Head.Name), 1));
        Assert.Throws<ArgumentException>(() => Model.TermRange(nameof(Head.Name), "a", "b"));
        Assert.Throws<ArgumentException>(() => Model.TermRange(nameof(Head.Size), long.MinValue, long.MaxValue));
    }

    private static SealContext Place(int i) => new("secret", $"id-{i:00}");

    private static async Task<List<int>> FindAsync(MemoryRecordStore store, List<Head> heads, IReadOnlyList<TermRange> ranges)
    {
        var found = new List<int>();
        foreach (var range in ranges)
        {
            await foreach (var record in store.FindAsync(RecordKind.Secret, range.First, range.Last, Cancel))
            {
                var opened = Model.Open(record.Data, new("secret", record.Key.Id));
                found.Add(int.Parse(record.Key.Id[3..]));
                Assert.Equal(heads[found[^1]], opened);
            }
        }

        return [.. found.Order()];
    }
}
