/**
 * `npm run demo`: a paid request on this machine, from the 402 to the money, with no account and no
 * network. On a terminal everything stays up afterwards; otherwise, and with --once, it prints one
 * JSON line a step and exits with 0 only if the money on the chain moved by exactly the price.
 */
// No static import of anything that is installed: we could not say that it is missing.
try {
  const { run } = await import('./run.ts')
  await run({ once: process.argv.includes('--once') || process.stdout.isTTY !== true })
} catch (error) {
  if (!isMissingPackage(error)) throw error
  console.error(`The demo cannot start: ${error.message}\nRun "npm install" first.`)
  process.exitCode = 1
}

function isMissingPackage(error: unknown): error is Error {
  return error instanceof Error && error.message.startsWith('Cannot find package')
}

export {}
