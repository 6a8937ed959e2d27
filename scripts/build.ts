/** `npm run build`: what is installed and run, in dist/, and the types for who embeds a gateway. */
import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { bundle } from './bundle.ts'

const ROOT = join(import.meta.dirname, '..')
const DIST = join(ROOT, 'dist')

rmSync(DIST, { recursive: true, force: true })
const typescript = dirname(createRequire(import.meta.url).resolve('typescript/package.json'))
const declare = [join(typescript, 'bin', 'tsc'), '-p', 'tsconfig.build.json']
const { status } = spawnSync(process.execPath, declare, { cwd: ROOT, stdio: 'inherit' })
// It has said what is wrong.
if (status === 0) await bundle(DIST)
else process.exitCode = 1
