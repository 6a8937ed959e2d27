import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { run } from '../../src/cli/program.ts'

export const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

export interface CliRun {
  readonly code: number | string | null | undefined
  readonly stdout: string
  readonly stderr: string
}

type Environment = Readonly<Record<string, string>>

/** All that a program gets of our environment: the path, and what Node has compiled before. */
export function bareEnvironment(): NodeJS.ProcessEnv {
  const { PATH, NODE_COMPILE_CACHE } = process.env
  return { PATH, NODE_COMPILE_CACHE }
}

/** Runs the real command line, piped, with next to nothing of our environment. */
export async function spawnCli(
  words: readonly string[],
  env: Environment = {},
  main = MAIN,
): Promise<CliRun> {
  const child = spawn(process.execPath, [main, ...words], {
    env: { ...bareEnvironment(), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const closed = once(child, 'close')
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  await closed
  return { code: child.exitCode, stdout, stderr }
}

/** The same without a process of its own, which would take a second to load what signs. */
export async function runCli(
  words: readonly string[],
  env: Environment = {},
  options: { terminal?: boolean } = {},
): Promise<CliRun> {
  const isTTY = options.terminal === true
  const stdout = Object.assign(new PassThrough(), { isTTY })
  const stderr = Object.assign(new PassThrough(), { isTTY })
  const written = Promise.all([text(stdout), text(stderr)])
  const surroundings = {
    ...{ argv: ['node', 'farebox', ...words], env: { ...env }, stdin: {}, stdout, stderr },
    exitCode: undefined as number | string | null | undefined, // set by the verb
  }
  await run(surroundings)
  stdout.end()
  stderr.end()
  const [out, err] = await written
  return { code: surroundings.exitCode ?? 0, stdout: out, stderr: err }
}

/** The one JSON line that a failed verb leaves on standard error. */
export function errorOf(outcome: CliRun): { code: string; message: string; fix: string } {
  const { error } = JSON.parse(outcome.stderr)
  return error
}
