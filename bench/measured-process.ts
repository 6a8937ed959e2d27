import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import type { Profiler } from 'node:inspector'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { waitForAnswer } from './load.ts'

const PROBE = join(import.meta.dirname, 'process-probe.ts')
const STOP_MS_MAX = 5_000

export interface MeasuredProcess {
  /** On 127.0.0.1. */
  readonly port: number
  /** What all threads have used since the start, user and system, in microseconds. */
  cpuMicros(): Promise<number>
  /** Profiles the main thread until `stopProfile`. */
  startProfile(): Promise<void>
  stopProfile(): Promise<CpuProfile>
  stop(): Promise<void>
}

/** As V8 writes it (Chrome DevTools protocol, Profiler.Profile). */
export type CpuProfile = Profiler.Profile

export interface ProgramOptions {
  /** Script and parameters. */
  readonly program: readonly string[]
  /** Where it will listen. */
  readonly port: number
  /** File for what it prints. */
  readonly outputFile: string
}

/** Starts a Node.js program and resolves once it answers HTTP, with whatever status. */
export async function startMeasured(options: ProgramOptions): Promise<MeasuredProcess> {
  const { program, port, outputFile } = options
  const output = openSync(outputFile, 'a')
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', '--import', PROBE, ...program],
    { stdio: ['ignore', output, output, 'ipc'], env: { ...process.env, NODE_ENV: 'production' } },
  )
  closeSync(output)
  const gone = once(child, 'exit')
  const died = gone.then(([code]) => {
    throw new Error(`${program.join(' ')} ended with ${code}; its output is in ${outputFile}`)
  })
  await Promise.race([waitForAnswer(port), died])
  died.catch(() => undefined)
  const ask = (question: string) => Promise.race([askProbe(child, question), died])
  return {
    port,
    async cpuMicros() {
      const usage = (await ask('cpu')) as NodeJS.CpuUsage // what the probe answers
      return usage.user + usage.system
    },
    startProfile: async () => void (await ask('start profile')),
    stopProfile: async () => (await ask('stop profile')) as CpuProfile, // see above
    stop: () => stop(child, gone),
  }
}

async function askProbe(child: ChildProcess, question: string): Promise<unknown> {
  const answered = once(child, 'message')
  child.send(question)
  const [answer] = await answered
  return answer
}

async function stop(child: ChildProcess, gone: Promise<unknown>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX)
  await gone
  clearTimeout(timer)
}

/** A port that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('Not a TCP port.')
  return address.port
}
