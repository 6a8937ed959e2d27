import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

export interface TiedProcess {
  readonly child: ChildProcess
  /** Kills it and resolves when it is gone. */
  stop(): Promise<void>
}

/**
 * Starts a program that cannot outlive this process, however this process ends.
 *
 * It gets a process group of its own, so that Ctrl-C reaches only us and we decide the order of the
 * shutdown. Its stdout is a pipe that the caller must read; its stderr is one as well.
 */
export function spawnTied(
  command: string,
  parameters: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): TiedProcess {
  const stdio = ['ignore' as const, 'pipe' as const, 'pipe' as const]
  const child = spawn(command, parameters, { stdio, detached: true, env })
  const gone = once(child, 'close').catch(() => undefined)
  const killNow = () => void child.kill('SIGKILL')
  process.on('exit', killNow)
  const watchdog = child.pid === undefined ? null : startWatchdog(child.pid)
  const untie = () => {
    process.off('exit', killNow)
    watchdog?.kill('SIGKILL')
  }
  child.once('close', untie)
  child.once('error', untie)
  return {
    child,
    async stop() {
      if (child.exitCode === null && child.signalCode === null) killNow()
      await gone
    },
  }
}

/**
 * Kills `pid` when our end of its input closes, which the kernel does even when we are killed
 * without a chance to clean up. `read` is a shell builtin, so this is one process and not two.
 */
function startWatchdog(pid: number): ChildProcess | null {
  if (process.platform === 'win32') return null
  const script = 'read -r _; kill -9 "$0"'
  const watchdog = spawn('/bin/sh', ['-c', script, String(pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  // Without a shell we still have the exit hook.
  watchdog.on('error', () => undefined)
  watchdog.stdin?.on('error', () => undefined)
  watchdog.unref()
  return watchdog
}
