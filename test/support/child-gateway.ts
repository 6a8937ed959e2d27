import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { spawnTied } from './tied-process.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const PRLIMIT = '/usr/bin/prlimit'
const AS_NOBODY = ['/usr/bin/setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']

export interface ChildGateway {
  readonly kind: 'listening'
  readonly url: string
  readonly adminUrl: string
  readonly pid: number
  /** Log lines so far, oldest first. */
  readonly logs: Record<string, unknown>[]
  /** Asks it to stop, and resolves with its exit code. */
  stop(): Promise<number | null>
  /** SIGKILL. */
  kill(): Promise<void>
}

export interface NotStarted {
  readonly kind: 'ended'
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface ChildGatewayOptions {
  /** The program. Default: the sources. */
  readonly main?: string | undefined
  /**
   * As a user who may write only where everybody may. Root may write everywhere, whatever a file's
   * mode says.
   */
  readonly unprivileged?: boolean | undefined
  /** Default: `start`. */
  readonly verb?: 'start' | 'facilitator' | undefined
  /** None of its files may become longer. */
  readonly fileBytesMax?: number | undefined
  /** A program, with its parameters, that starts another one. */
  readonly through?: readonly string[] | undefined
  /** Its clock shows so much more than the machine's, as if that time had passed. */
  readonly clockAheadMs?: number | undefined
  /** SIGKILL, also while it starts. */
  readonly killSignal?: AbortSignal | undefined
  /** A module that is loaded before the gateway. */
  readonly preload?: string | undefined
  /** A directory in which one that ends by itself leaves compiled code for others to start with. */
  readonly compileCache?: string | undefined
}

/**
 * Runs a gateway, or a facilitator, in a process of its own, as operators do, until it listens or
 * has ended.
 */
export async function startChildGateway(
  configFile: string,
  options: ChildGatewayOptions = {},
): Promise<ChildGateway | NotStarted> {
  const [program = '', ...rest] = [
    ...(options.unprivileged && process.geteuid?.() === 0 ? AS_NOBODY : []),
    ...(options.fileBytesMax === undefined ? [] : [PRLIMIT, `--fsize=${options.fileBytesMax}:`]),
    ...(options.through ?? []),
    ...[process.execPath, ...clockAhead(options.clockAheadMs ?? 0)],
    ...(options.preload === undefined ? [] : ['--import', options.preload]),
    ...[options.main ?? MAIN, options.verb ?? 'start', '-c', configFile],
  ]
  const { compileCache } = options
  const cache = compileCache === undefined ? {} : { NODE_COMPILE_CACHE: compileCache }
  const { child, stop } = spawnTied(program, rest, { ...process.env, ...cache })
  options.killSignal?.addEventListener('abort', () => child.kill('SIGKILL'))
  if (child.stdout === null || child.stderr === null) throw new Error('The child has no pipes.')
  const exited = new Promise<number | null>(resolve => child.once('close', resolve))
  const stderr = text(child.stderr)
  const lines: string[] = []
  const logs: Record<string, unknown>[] = []
  const listening = Promise.withResolvers<{ url: string; adminUrl: string }>()
  createInterface({ input: child.stdout }).on('line', line => {
    lines.push(line)
    const entry = JSON.parse(line)
    logs.push(entry)
    if (entry.msg === 'listening') listening.resolve(entry)
  })
  const first = await Promise.race([listening.promise, exited])
  if (first === null || typeof first === 'number') {
    return { kind: 'ended', code: first, stdout: lines.join('\n'), stderr: await stderr }
  }
  const { url, adminUrl } = first
  return {
    ...{ kind: 'listening', url, adminUrl, pid: child.pid ?? 0, logs, kill: stop },
    stop() {
      child.kill('SIGTERM')
      return exited
    },
  }
}

/** What makes Node run a program whose clock is ahead; its timers run as always. */
function clockAhead(milliseconds: number): string[] {
  if (milliseconds === 0) return []
  const source = `const { now } = Date; Date.now = () => now() + ${milliseconds}`
  return ['--import', `data:text/javascript,${encodeURIComponent(source)}`]
}
