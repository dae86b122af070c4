//! Machine code: expressions become ELF objects, with Cranelift.

use std::fmt::Display;
use std::sync::Arc;

use cranelift_codegen::Context;
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{
    AbiParam, AtomicRmwOp, InstBuilder, MemFlagsData, Signature, Type, Value, types,
};
use cranelift_codegen::isa::{self, TargetIsa};
use cranelift_codegen::settings::{self, Configurable};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use cranelift_module::{DataDescription, FuncId, Linkage, Module, default_libcall_names};
use cranelift_object::{ObjectBuilder, ObjectModule};

use crate::syntax::{Call, Expr, Function, Operator};

/// Functions of C that programs may call: name, number of arguments.
pub const LIBRARY: &[(&str, usize)] = &[
    ("sqrt", 1),
    ("sin", 1),
    ("cos", 1),
    ("exp", 1),
    ("log", 1),
    ("floor", 1),
    ("pow", 2),
];

/// Name, number of arguments, and symbol of the function that the host offers.
pub const SHOW: (&str, usize, &str) = ("show", 1, "calc_show");

/// The symbol that a call of this name with so many arguments leads to.
#[must_use]
pub fn symbol(name: &str, arguments: usize) -> String {
    if (name, arguments) == (SHOW.0, SHOW.1) {
        return SHOW.2.to_owned();
    }
    match LIBRARY.contains(&(name, arguments)) {
        true => name.to_owned(),
        false => format!("calc.{name}.{arguments}"),
    }
}

/// Makes objects of functions.
#[derive(Clone)]
pub struct Compiler {
    isa: Arc<dyn TargetIsa>,
}

/// How a function begins and ends.
enum Frame {
    /// Numbers in, a number out.
    Plain,
    /// The same, but it counts its calls, and asks once for the next version of its unit.
    Counting { unit: u64, version: u32, calls: u64 },
    /// A wrapper function: takes bytes, and returns the eight bytes of a number.
    Wrapper,
}

/// An object, and its instructions in words.
pub struct Compiled {
    /// An ELF object.
    pub object: Vec<u8>,
    /// The instructions, one a line.
    pub assembly: String,
}

impl Compiler {
    /// A compiler for the CPU of this process. One that optimizes takes longer.
    ///
    /// # Errors
    /// When Cranelift has no such CPU.
    pub fn new(optimize: bool) -> Result<Self, String> {
        let mut flags = settings::builder();
        let level = if optimize { "speed" } else { "none" };
        flags.set("opt_level", level).map_err(words)?;
        flags.set("is_pic", "true").map_err(words)?;
        flags
            .set("preserve_frame_pointers", "true")
            .map_err(words)?;
        let cpu = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        let isa = isa::lookup_by_name(&cpu).map_err(words)?;
        let isa = isa.finish(settings::Flags::new(flags)).map_err(words)?;
        Ok(Self { isa })
    }

    /// An object with this function.
    ///
    /// # Errors
    /// When Cranelift cannot compile it.
    pub fn function(&self, function: &Function) -> Result<Compiled, String> {
        self.define(function, &Frame::Plain)
    }

    /// The same, but the code counts its calls, and asks for version `version + 1` of `unit` when there were so many.
    ///
    /// # Errors
    /// As for [`Self::function`].
    pub fn counting(
        &self,
        function: &Function,
        unit: u64,
        version: u32,
        calls: u64,
    ) -> Result<Compiled, String> {
        let frame = Frame::Counting {
            unit,
            version,
            calls,
        };
        self.define(function, &frame)
    }

    fn define(&self, function: &Function, frame: &Frame) -> Result<Compiled, String> {
        let parameters = function.parameters.len();
        let symbol = symbol(&function.name, parameters);
        self.object(&symbol, parameters, &function.body, frame)
    }

    /// An object with a function `symbol` that takes nothing and returns the expression's value.
    ///
    /// # Errors
    /// As for [`Self::function`].
    pub fn expression(&self, symbol: &str, expression: &Expr) -> Result<Compiled, String> {
        self.object(symbol, 0, expression, &Frame::Plain)
    }

    /// An object with a wrapper function `symbol`, for [`orc_jit::Jit::call_wrapper`]: its answer has the eight bytes of
    /// the expression's value.
    ///
    /// # Errors
    /// As for [`Self::function`].
    pub fn wrapper(&self, symbol: &str, expression: &Expr) -> Result<Compiled, String> {
        self.object(symbol, 0, expression, &Frame::Wrapper)
    }

    fn object(
        &self,
        symbol: &str,
        parameters: usize,
        body: &Expr,
        frame: &Frame,
    ) -> Result<Compiled, String> {
        let mut builder =
            ObjectBuilder::new(self.isa.clone(), symbol, default_libcall_names()).map_err(words)?;
        builder.unwind_info(true);
        let mut module = ObjectModule::new(builder);
        let signature = match frame {
            Frame::Plain | Frame::Counting { .. } => numbers(&module, parameters),
            Frame::Wrapper => integers(&module, &[types::I64; 2], 2),
        };
        let id = declare(&mut module, symbol, Linkage::Export, &signature)?;
        let mut context = module.make_context();
        context.func.signature = signature;
        context.set_disasm(true);
        let mut scratch = FunctionBuilderContext::new();
        let translator = Translator::new(&mut module, &mut context, &mut scratch);
        translator.whole(body, frame)?;
        module.define_function(id, &mut context).map_err(words)?;
        let code = context.compiled_code();
        let assembly = code.and_then(|code| code.vcode.clone()).unwrap_or_default();
        let object = module.finish().emit().map_err(words)?;
        Ok(Compiled { object, assembly })
    }
}

fn words(error: impl Display) -> String {
    error.to_string()
}

/// Takes numbers, and returns one.
fn numbers(module: &ObjectModule, parameters: usize) -> Signature {
    let mut signature = module.make_signature();
    let number = AbiParam::new(types::F64);
    signature.params.extend(vec![number; parameters]);
    signature.returns.push(number);
    signature
}

fn integers(module: &ObjectModule, parameters: &[Type], results: usize) -> Signature {
    let mut signature = module.make_signature();
    let parameters = parameters.iter().map(|it| AbiParam::new(*it));
    signature.params.extend(parameters);
    let word = AbiParam::new(types::I64);
    signature.returns.extend(vec![word; results]);
    signature
}

fn declare(
    module: &mut ObjectModule,
    symbol: &str,
    linkage: Linkage,
    signature: &Signature,
) -> Result<FuncId, String> {
    let declared = module.declare_function(symbol, linkage, signature);
    declared.map_err(words)
}

/// Writes the instructions of one function.
struct Translator<'a> {
    module: &'a mut ObjectModule,
    builder: FunctionBuilder<'a>,
    parameters: Vec<Value>,
}

impl<'a> Translator<'a> {
    fn new(
        module: &'a mut ObjectModule,
        context: &'a mut Context,
        scratch: &'a mut FunctionBuilderContext,
    ) -> Self {
        let builder = FunctionBuilder::new(&mut context.func, scratch);
        Self {
            module,
            builder,
            parameters: Vec::new(),
        }
    }

    fn whole(mut self, body: &Expr, frame: &Frame) -> Result<(), String> {
        let entry = self.builder.create_block();
        self.builder.append_block_params_for_function_params(entry);
        self.builder.switch_to_block(entry);
        self.parameters = self.builder.block_params(entry).to_vec();
        if let Frame::Counting {
            unit,
            version,
            calls,
        } = frame
        {
            self.count(*unit, *version, *calls)?;
        }
        let value = self.value(body)?;
        match frame {
            Frame::Plain | Frame::Counting { .. } => self.builder.ins().return_(&[value]),
            Frame::Wrapper => {
                let bits = self
                    .builder
                    .ins()
                    .bitcast(types::I64, MemFlagsData::new(), value);
                let size = self.builder.ins().iconst(types::I64, 8);
                self.builder.ins().return_(&[bits, size])
            }
        };
        self.builder.seal_all_blocks();
        self.builder.finalize(self.module.target_config());
        Ok(())
    }

    fn value(&mut self, expression: &Expr) -> Result<Value, String> {
        Ok(match expression {
            Expr::Number(number) => self.builder.ins().f64const(*number),
            Expr::Parameter(place) => self.parameters[*place],
            Expr::Negate(operand) => {
                let operand = self.value(operand)?;
                self.builder.ins().fneg(operand)
            }
            Expr::Binary(operator, left, right) => {
                let operands = [self.value(left)?, self.value(right)?];
                self.binary(*operator, operands)?
            }
            Expr::If(parts) => self.choice(parts)?,
            Expr::Call(call) => self.call(call)?,
        })
    }

    fn binary(&mut self, operator: Operator, [a, b]: [Value; 2]) -> Result<Value, String> {
        let ins = self.builder.ins();
        Ok(match operator {
            Operator::Add => ins.fadd(a, b),
            Operator::Subtract => ins.fsub(a, b),
            Operator::Multiply => ins.fmul(a, b),
            Operator::Divide => ins.fdiv(a, b),
            Operator::Power => self.call_symbol("pow", &[a, b])?,
            Operator::Less => self.comparison(FloatCC::LessThan, a, b),
            Operator::Equal => self.comparison(FloatCC::Equal, a, b),
        })
    }

    fn comparison(&mut self, condition: FloatCC, a: Value, b: Value) -> Value {
        let is_true = self.builder.ins().fcmp(condition, a, b);
        let [one, zero] = [1.0, 0.0].map(|it| self.builder.ins().f64const(it));
        self.builder.ins().select(is_true, one, zero)
    }

    /// Two ways, of which one is taken, and a block where both meet.
    fn choice(&mut self, [condition, yes, no]: &[Expr; 3]) -> Result<Value, String> {
        let condition = self.value(condition)?;
        let zero = self.builder.ins().f64const(0.0);
        let is_true = self.builder.ins().fcmp(FloatCC::NotEqual, condition, zero);
        let [on_true, on_false, after] = [(); 3].map(|()| self.builder.create_block());
        let result = self.builder.append_block_param(after, types::F64);
        let ins = self.builder.ins();
        ins.brif(is_true, on_true, &[], on_false, &[]);
        for (block, part) in [(on_true, yes), (on_false, no)] {
            self.builder.switch_to_block(block);
            let value = self.value(part)?;
            self.builder.ins().jump(after, &[value.into()]);
        }
        self.builder.switch_to_block(after);
        Ok(result)
    }

    fn call(&mut self, call: &Call) -> Result<Value, String> {
        let arguments = call.arguments.iter().map(|it| self.value(it));
        let arguments: Vec<Value> = arguments.collect::<Result<_, _>>()?;
        self.call_symbol(&symbol(&call.name, arguments.len()), &arguments)
    }

    fn call_symbol(&mut self, symbol: &str, arguments: &[Value]) -> Result<Value, String> {
        let signature = numbers(self.module, arguments.len());
        let id = declare(self.module, symbol, Linkage::Import, &signature)?;
        let function = self.module.declare_func_in_func(id, self.builder.func);
        let call = self.builder.ins().call(function, arguments);
        Ok(self.builder.inst_results(call)[0])
    }

    /// Counts a call; the one that makes `calls` of them asks for the next version.
    fn count(&mut self, unit: u64, version: u32, calls: u64) -> Result<(), String> {
        let counter = self
            .module
            .declare_anonymous_data(true, false)
            .map_err(words)?;
        let mut zero = DataDescription::new();
        zero.define_zeroinit(8);
        zero.set_align(8);
        self.module.define_data(counter, &zero).map_err(words)?;
        let counter = self.module.declare_data_in_func(counter, self.builder.func);
        let counter = self.builder.ins().symbol_value(types::I64, counter);
        let one = self.builder.ins().iconst(types::I64, 1);
        let (flags, add) = (MemFlagsData::trusted(), AtomicRmwOp::Add);
        let before = self
            .builder
            .ins()
            .atomic_rmw(types::I64, flags, add, counter, one);
        let limit = i64::try_from(calls - 1).map_err(words)?;
        let is_due = self.builder.ins().icmp_imm_s(IntCC::Equal, before, limit);
        let [ask, after] = [(); 2].map(|()| self.builder.create_block());
        self.builder.ins().brif(is_due, ask, &[], after, &[]);
        self.builder.switch_to_block(ask);
        let signature = integers(self.module, &[types::I64, types::I32], 0);
        let name = "__orc_rt_reoptimize";
        let reoptimize = declare(self.module, name, Linkage::Import, &signature)?;
        let reoptimize = self
            .module
            .declare_func_in_func(reoptimize, self.builder.func);
        let unit = self.builder.ins().iconst(types::I64, unit.cast_signed());
        let version = self.builder.ins().iconst(types::I32, i64::from(version));
        self.builder.ins().call(reoptimize, &[unit, version]);
        self.builder.ins().jump(after, &[]);
        self.builder.switch_to_block(after);
        Ok(())
    }
}
