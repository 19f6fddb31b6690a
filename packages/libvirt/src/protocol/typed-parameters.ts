// libvirt's typed parameters: named values of seven types, used for statistics and tuning. Owns their wire form and the
// record that callers read. A type number that does not exist fails with ProtocolError.
import { ProtocolError } from '../errors.ts';
import { bool, double, hyper, int, list, struct, type Type, uint, unsignedHyper } from '../xdr/schema.ts';
import { text } from './objects.ts';

/** What callers read: int, uint and double as number; the 64-bit types as bigint. */
export type ParameterValue = number | bigint | boolean | string;
export type ParameterRecord = Record<string, ParameterValue>;

export type TypedValue =
  | { type: 'int' | 'uint' | 'double'; value: number }
  | { type: 'llong' | 'ullong'; value: bigint }
  | { type: 'boolean'; value: boolean }
  | { type: 'string'; value: string };

/** What callers send: the type is part of it, because libvirt refuses a parameter of another type than it expects. */
export interface TypedParameter {
  field: string;
  value: TypedValue;
}

const typeNames = ['int', 'uint', 'llong', 'ullong', 'double', 'boolean', 'string'] as const;
const valueTypes: readonly Type<ParameterValue>[] = [int, uint, hyper, unsignedHyper, double, bool, text] as never;

const typedValue: Type<TypedValue> = {
  minBytes: 8,
  encode(writer, { type, value }) {
    const index = typeNames.indexOf(type);
    writer.int(index + 1);
    valueTypes[index]!.encode(writer, value);
  },
  decode(reader) {
    const number = reader.int();
    const type = typeNames[number - 1];
    if (type === undefined) throw new ProtocolError(`typed parameter type ${number} does not exist`);
    return { type, value: valueTypes[number - 1]!.decode(reader) } as TypedValue;
  },
};

const typedParameter: Type<TypedParameter> = struct({ field: text, value: typedValue });

export const typedParameters = (max: number): Type<readonly TypedParameter[]> => list(typedParameter, max);

/** Gathers a list into the record that callers read. */
export function parameterRecord(parameters: readonly TypedParameter[]): ParameterRecord {
  const record: ParameterRecord = {};
  for (const { field, value } of parameters) record[field] = value.value;
  return record;
}

/** The parameters among `fields` for which `values` has one, each with its wire type. */
export function typedParametersOf<F extends Record<string, readonly [field: string, type: TypedValue['type']]>>(
  fields: F,
  values: { readonly [K in keyof F]?: ParameterValue | undefined },
): TypedParameter[] {
  const parameters: TypedParameter[] = [];
  for (const [key, [field, type]] of Object.entries(fields)) {
    const given = values[key];
    if (given === undefined) continue;
    const wide = type === 'llong' || type === 'ullong';
    const value = wide && typeof given === 'number' ? BigInt(given) : given;
    parameters.push({ field, value: { type, value } as TypedValue });
  }
  return parameters;
}
