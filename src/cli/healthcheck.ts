import type { Command } from 'commander'
import { EXIT_FAILED, EXIT_OK, type ExitCode } from './exit-code.ts'
import { createOutput, type Output } from './output.ts'
import type { Surroundings } from './surroundings.ts'

/** Below the time-out of the Dockerfile's HEALTHCHECK, so that the reason is still printed. */
const TIMEOUT_MS = 3000

export function registerHealthcheck(program: Command, surroundings: Surroundings): void {
  program
    .command('healthcheck')
    .description('ask a running gateway whether it is alive (exit code 0) or not (1)')
    .option('--url <url>', 'what to ask', 'http://127.0.0.1:9402/healthz')
    .option('--json', 'print JSON, as when piped')
    .action(async (options: { url: string; json?: true }) => {
      const output = createOutput({ json: options.json === true }, surroundings)
      surroundings.exitCode = await healthcheck(options.url, output)
    })
}

async function healthcheck(url: string, output: Output): Promise<ExitCode> {
  const answer = await ask(url)
  if (answer.kind === 'alive') {
    output.result({ healthy: true, url }, () => `healthy: ${url}`)
    return EXIT_OK
  }
  output.failure({
    code: 'unhealthy',
    message: `${url}: ${answer.reason}`,
    fix: 'See what the gateway logs, and check that --url names its admin listener.',
    exitCode: EXIT_FAILED,
  })
  return EXIT_FAILED
}

type Answer = { readonly kind: 'alive' } | { readonly kind: 'not-alive'; readonly reason: string }

async function ask(url: string): Promise<Answer> {
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS)
    const response = await fetch(url, { signal, redirect: 'manual' })
    await response.body?.cancel()
    if (response.status === 200) return { kind: 'alive' }
    return { kind: 'not-alive', reason: `it answered ${response.status}` }
  } catch (error) {
    return { kind: 'not-alive', reason: reasonOf(error) }
  }
}

/** `fetch` says only "fetch failed"; what went wrong is in its cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? error.cause.message : error.message
}
