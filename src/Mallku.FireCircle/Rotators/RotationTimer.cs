using Mallku.Secrets.Rotation;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Mallku.FireCircle.Rotators;

/// <summary>
/// Rotates, in a process that runs for long, what is due, and retires and revokes what is past its grace: at the start, and
/// then every so often. What fails is logged and tried again the next time, and never ends the process.
/// </summary>
internal sealed partial class RotationTimer(RotationRunner runner, TimeSpan every, ILogger<RotationTimer> logger) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(every);
        do
        {
            try
            {
                foreach (var done in await runner.RunDueAsync(stoppingToken).ConfigureAwait(false))
                {
                    Log(done);
                }
            }
            catch (SecretsException e)
            {
                LogFault(e.Problem, e.Remedy);
            }
            catch (Exception e) when (!(e is OperationCanceledException && stoppingToken.IsCancellationRequested))
            {
                // a host stops where a service of it throws; the text may hold a value
                LogUnforeseen(e.GetType().Name, e.StackTrace);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken).ConfigureAwait(false));
    }

    private void Log(RotationEvent done)
    {
        if (done.Error is { } error)
        {
            LogFailed(done.Name, done.Version, done.Tell, error.Problem, error.Remedy);
        }
        else if (done.Action == RotationAction.NeedsPerson)
        {
            LogNeedsPerson(done.Name, done.Tell);
        }
        else
        {
            LogDone(done.Action, done.Name, done.Version);
        }
    }

    [LoggerMessage(1, LogLevel.Information, "{Action} version {Version} of {Secret}")]
    private partial void LogDone(RotationAction action, string secret, int? version);

    [LoggerMessage(2, LogLevel.Warning, "{Secret} is to be rotated, and a person has to do it (tell {Tell})")]
    private partial void LogNeedsPerson(string secret, string? tell);

    [LoggerMessage(3, LogLevel.Error, "version {Version} of {Secret} (tell {Tell}): {Problem}. {Remedy}")]
    private partial void LogFailed(string secret, int? version, string? tell, string problem, string remedy);

    [LoggerMessage(4, LogLevel.Error, "no secret is rotated: {Problem}. {Remedy}")]
    private partial void LogFault(string problem, string remedy);

    [LoggerMessage(5, LogLevel.Error, "no secret is rotated: {Fault}, which was not foreseen, at {Place}")]
    private partial void LogUnforeseen(string fault, string? place);
}
