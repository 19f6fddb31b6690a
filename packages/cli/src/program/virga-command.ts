// Commander's command with our words for what is wrong, and with options that may stand alone.
// The methods without `override` are commander's own, which its types leave out; the tests of every mistake watch over them.
import { Command, Option } from 'commander';
import { closest } from '../closest.ts';
import { usageError } from './usage-error.ts';

export class VirgaCommand extends Command {
  /** Words after `virga` that lead here. */
  readonly path: string;
  /** What options stand for when they stand alone, by flag. */
  readonly bareValues = new Map<string, string>();
  readonly variadic: boolean;

  constructor(name: string, path: string, variadic = false) {
    super(name);
    this.path = path;
    this.variadic = variadic;
  }

  /** `--wait web` is `--wait=running web`: a value of such an option is always joined to it. */
  override parseOptions(argv: string[]) {
    if (this.bareValues.size === 0) return super.parseOptions(argv);
    const end = argv.indexOf('--');
    const joined = argv.map((word, index) => {
      const bare = end >= 0 && index > end ? undefined : this.bareValues.get(word);
      return bare === undefined ? word : `${word}=${bare}`;
    });
    return super.parseOptions(joined);
  }

  unknownOption(flag: string): never {
    const name = flag.split('=', 1)[0]!;
    const parents = this.parent instanceof VirgaCommand ? this.parent.flags() : [];
    const root = this.parent?.parent instanceof VirgaCommand ? this.parent.parent.flags() : [];
    const near = closest(name, [...this.flags(), ...parents, ...root]);
    const hint = near === undefined && this.variadic ? `virga ${this.path} … -- ${flag}` : near;
    throw usageError(`${this.title()} has no option ${name}.`, this.path, hint);
  }

  unknownCommand(): never {
    const word = this.args[0] ?? '';
    const names = this.commands.flatMap((command) => [command.name(), ...command.aliases()]);
    const near = closest(word, names);
    const meant = near === undefined ? undefined : `virga ${this.path === '' ? near : `${this.path} ${near}`}`;
    throw usageError(`There is no command ${`virga ${this.path}`.trimEnd()} ${word}.`, this.path, meant);
  }

  missingArgument(name: string): never {
    throw usageError(`${this.title()} needs ${name.toUpperCase()}.`, this.path);
  }

  missingMandatoryOptionValue(option: Option): never {
    throw usageError(`${this.title()} needs ${option.flags.replace(/[<>]/g, '')}.`, this.path);
  }

  optionMissingArgument(option: Option): never {
    throw usageError(`${option.long} needs a value.`, this.path);
  }

  _excessArguments(received: string[]): never {
    const extra = received[this.registeredArguments.length] ?? '';
    const group = this.parent;
    if (group instanceof VirgaCommand && group.path !== '' && received.length === 1) {
      // `virga images lst`: the group's own command took the word for an argument.
      group.args = [extra];
      group.unknownCommand();
    }
    throw usageError(`${this.title()} does not know what to do with ${JSON.stringify(extra)}.`, this.path);
  }

  private flags(): string[] {
    return ['--help', ...this.options.flatMap(({ long }) => long ?? [])];
  }

  private title(): string {
    return this.path === '' ? 'virga' : `virga ${this.path}`;
  }
}

/** An option that goes by the name of its definition, also when it begins with `no`. */
export class NamedOption extends Option {
  private readonly attribute: string;

  constructor(flags: string, attribute: string) {
    super(flags);
    this.attribute = attribute;
    this.negate = false;
  }

  override attributeName(): string {
    return this.attribute;
  }
}
