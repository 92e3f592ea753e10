using CsCheck;
using Mallku.Secrets.Storage;

namespace Mallku.Secrets.Tests.Vault;

/// <summary>How versions move: a table of what is expected, and what no sequence of moves may break.</summary>
public sealed class VersionMovesTests
{
    private static readonly DateTimeOffset Start = new(2026, 11, 24, 10, 0, 0, TimeSpan.Zero);

    // what is done a minute after what was done before; a number is a grace in minutes
    private static readonly Gen<Move> Moves = Gen.Frequency(
        (4, Gen.Int[0, 5].Select(Move (grace) => new Move.Set(grace))),
        (3, Gen.Const<Move>(new Move.Begin())),
        (3, Gen.Int[0, 5].Select(Move (grace) => new Move.Finish(grace))),
        (1, Gen.Const<Move>(new Move.Abandon())),
        (1, Gen.Int[0, 10].Select(Move (minutes) => new Move.Wait(minutes))));

    [Theory]
    [InlineData("set", "1 current", "1")]
    [InlineData("set, set", "1 previous, 2 current", "2")]
    [InlineData("set, set, set", "1 retired, 2 previous, 3 current", "3")]
    [InlineData("set, set 5", "1 previous until 6, 2 current", "2 1")]
    [InlineData("set, set 5, set 5", "1 previous until 6, 2 previous until 7, 3 current", "3 2 1")]
    [InlineData("set, set 5, set", "1 previous until 6, 2 previous, 3 current", "3 1")]
    [InlineData("set, set 5, wait 4", "1 previous until 6, 2 current", "2 1")]
    [InlineData("set, set 5, wait 5", "1 retired, 2 current", "2")]
    [InlineData("set, begin", "1 current, 2 pending", "1")]
    [InlineData("set, begin, finish 5", "1 previous until 7, 2 current", "2 1")]
    [InlineData("set, begin, finish 0", "1 retired, 2 current", "2")]
    [InlineData("set, begin, abandon", "1 current, 2 retired", "1")]
    [InlineData("set, begin, set", "1 previous, 2 pending, 3 current", "3")]
    [InlineData("set, begin, set, finish 5", "1 previous, 2 pending, 3 current", "3")]
    [InlineData("set, begin, set, abandon, set", "1 retired, 2 retired, 3 previous, 4 current", "4")]
    public void A_version_moves_as_the_table_says(string moves, string expected, string live)
    {
        var state = new State();
        foreach (var move in moves.Split(", "))
        {
            state.Do(move.Split(' ') switch
            {
                ["set", .. var grace] => new Move.Set(grace is [var minutes] ? int.Parse(minutes, null) : 0),
                ["begin"] => new Move.Begin(),
                ["finish", var minutes] => new Move.Finish(int.Parse(minutes, null)),
                ["abandon"] => new Move.Abandon(),
                ["wait", var minutes] => new Move.Wait(int.Parse(minutes, null)),
                _ => throw new ArgumentException(move, nameof(moves)),
            });
        }

        var now = VersionMoves.At(state.Now, state.Versions);
        Assert.Equal(expected, string.Join(", ", now.Select(Describe)));
        Assert.Equal(live, string.Join(' ', VersionMoves.Live(state.Now, state.Versions).Select(version => version.Number)));
    }

    [Fact]
    public void No_sequence_of_moves_breaks_the_rules() => Moves.Array[1, 40].Sample(moves =>
    {
        var state = new State();
        foreach (var move in moves)
        {
            var before = state.Versions;
            state.Do(move);
            var versions = state.Versions;
            var seen = VersionMoves.At(state.Now, versions);
            var live = VersionMoves.Live(state.Now, versions).ToList();

            Assert.True(versions.Count(version => version.State == SecretVersionState.Pending) <= 1);
            Assert.True(versions.Count(version => version.State == SecretVersionState.Current) == (before.Count == 0 && versions.Count == 0 ? 0 : versions.Any(IsUsed) ? 1 : 0));
            Assert.Equal(versions.Select(version => version.Number).Order(), versions.Select(version => version.Number));
            Assert.True(CurrentOf(before) <= CurrentOf(versions), "an older version is current again");
            Assert.DoesNotContain(live, version => version.State is SecretVersionState.Pending or SecretVersionState.Retired);
            Assert.Equal(live.Count == 0 ? [] : live.OrderByDescending(version => version.Number), live);
            Assert.All(seen, version => Assert.True(version.GraceEnds is null || (version.State == SecretVersionState.Previous && version.GraceEnds > state.Now)));
            Assert.Equal(seen, VersionMoves.At(state.Now, seen));
            foreach (var retired in before.Where(version => version.State == SecretVersionState.Retired))
            {
                Assert.Contains(retired, versions);
            }
        }
    });

    private static bool IsUsed(SecretVersion version) => version.State is SecretVersionState.Current or SecretVersionState.Previous;

    private static int CurrentOf(IReadOnlyList<SecretVersion> versions) =>
        versions.FirstOrDefault(version => version.State == SecretVersionState.Current)?.Number ?? 0;

    private static string Describe(SecretVersion version) =>
        $"{version.Number} {SecretFormat.ToText(version.State)}{(version.GraceEnds is { } ends ? $" until {(ends - Start).TotalMinutes}" : "")}";

    private abstract record Move
    {
        internal sealed record Set(int Grace) : Move;

        internal sealed record Begin : Move;

        internal sealed record Finish(int Grace) : Move;

        internal sealed record Abandon : Move;

        internal sealed record Wait(int Minutes) : Move;
    }

    private sealed class State
    {
        private int _next = 1;

        internal DateTimeOffset Now { get; private set; } = Start - TimeSpan.FromMinutes(1);

        internal IReadOnlyList<SecretVersion> Versions { get; private set; } = [];

        internal void Do(Move move)
        {
            Now += TimeSpan.FromMinutes(move is Move.Wait wait ? wait.Minutes : 1);
            var pending = Versions.FirstOrDefault(version => version.State == SecretVersionState.Pending);
            switch (move)
            {
                case Move.Set set:
                    Versions = VersionMoves.Add(Now, Versions, New(SecretVersionState.Pending), TimeSpan.FromMinutes(set.Grace));
                    break;
                case Move.Begin when pending is null && CurrentOf(Versions) > 0:
                    Versions = [.. Versions, New(SecretVersionState.Pending)];
                    break;
                case Move.Finish when pending is not null && pending.Number < CurrentOf(Versions):
                    Assert.Throws<InvalidOperationException>(() => VersionMoves.Finish(Now, Versions, TimeSpan.Zero));
                    break;
                case Move.Finish finish when pending is not null:
                    Versions = VersionMoves.Finish(Now, Versions, TimeSpan.FromMinutes(finish.Grace));
                    break;
                case Move.Abandon:
                    Versions = VersionMoves.Abandon(Versions);
                    break;
            }
        }

        private SecretVersion New(SecretVersionState state) => new(_next++, "id", state, Now, "set");
    }
}
